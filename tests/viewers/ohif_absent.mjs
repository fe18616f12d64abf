// Stands for those packages of OHIF that draw its user interface; of them its reader asks two names only.

export const Enums = {
  CORNERSTONE_3D_TOOLS_SOURCE_NAME: 'Cornerstone3DTools',
  CORNERSTONE_3D_TOOLS_SOURCE_VERSION: '0.1',
};

export default {};
