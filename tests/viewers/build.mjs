// Bundles a module with the readers inside OHIF: `node build.mjs ENTRY OUTPUT node|browser`.

import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';

const [entry, outfile, platform] = process.argv.slice(2);
const absent = fileURLToPath(new URL('ohif_absent.mjs', import.meta.url));

const withoutInterface = {
  name: 'without the user interface',
  setup({ onResolve }) {
    const names = /^@ohif\/(extension-cornerstone|i18n|ui-next|core\/src\/contextProviders\/SystemProvider)$/;
    onResolve({ filter: names }, () => ({ path: absent }));
  },
};

await build({
  entryPoints: [entry],
  outfile,
  platform,
  bundle: true,
  format: platform === 'node' ? 'cjs' : 'iife',
  mainFields: ['module', 'main'],
  target: platform === 'node' ? 'node18' : 'chrome120',
  external: platform === 'node' ? [] : ['fs', 'path', 'url'],
  plugins: [withoutInterface],
  inject: platform === 'node' ? [fileURLToPath(new URL('no_browser.mjs', import.meta.url))] : [],
  logLevel: 'error',
});
