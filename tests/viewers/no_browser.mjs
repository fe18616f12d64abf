// What OHIF asks of a browser while it loads, for node 18 and later; nothing is drawn and no key is pressed.

import { webcrypto } from 'node:crypto';

if (typeof window === 'undefined') {
  const nothing = () => {};
  const element = () => ({
    style: {},
    addEventListener: nothing,
    dispatchEvent: nothing,
    setAttribute: nothing,
    getContext: () => null,
  });
  globalThis.window = globalThis.self = globalThis;
  globalThis.crypto ??= webcrypto;
  globalThis.CustomEvent ??= class extends Event {};
  globalThis.navigator ??= { userAgent: 'node', platform: 'node', language: 'en' };
  globalThis.addEventListener = globalThis.removeEventListener = nothing;
  globalThis.HTMLDivElement = class {};
  globalThis.document = {
    addEventListener: nothing,
    removeEventListener: nothing,
    createElement: element,
    documentElement: element(),
    body: element(),
  };
}
