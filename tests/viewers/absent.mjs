// Stands for packages of OHIF that draw its user interface, and for modules of node in a browser. Of the first, the
// reader asks for two names; of the second, a library that writes XML wants something to inherit from.

export const Enums = {
  CORNERSTONE_3D_TOOLS_SOURCE_NAME: 'Cornerstone3DTools',
  CORNERSTONE_3D_TOOLS_SOURCE_VERSION: '0.1',
};

export class EventEmitter {}

export default {};
