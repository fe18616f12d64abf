// Bundles a module with the readers inside OHIF: `node build.mjs ENTRY OUTPUT node|browser`.

import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';

const [entry, outfile, platform] = process.argv.slice(2);
const absent = fileURLToPath(new URL('absent.mjs', import.meta.url));

const forNode = platform === 'node';
const absences = [/^@ohif\/(extension-cornerstone|i18n|ui-next|core\/src\/contextProviders\/SystemProvider)$/];
if (!forNode) absences.push(/^(events|fs|path|url)$/);

const withoutInterface = {
  name: 'without what no test needs',
  setup({ onResolve }) {
    for (const filter of absences) onResolve({ filter }, () => ({ path: absent }));
  },
};

await build({
  entryPoints: [entry],
  outfile,
  platform,
  bundle: true,
  format: forNode ? 'cjs' : 'iife',
  mainFields: ['module', 'main'],
  target: forNode ? 'node18' : 'chrome120',
  plugins: [withoutInterface],
  inject: forNode ? [fileURLToPath(new URL('no_browser.mjs', import.meta.url))] : [],
  logLevel: 'error',
});
