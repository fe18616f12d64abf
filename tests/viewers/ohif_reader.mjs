// Gives objects to OHIF's own code and tells what it makes of them; the same module runs in node and in a browser.
//
// OHIF's structured report extension decides what is drawn and what becomes an editable measurement; the
// adapters of cornerstone, which it calls, turn coordinates into tools and segments into label maps. Fakes stand
// for those services of OHIF that only keep a list.

import { adaptersSEG, adaptersSR } from '@cornerstonejs/adapters';
import { metaData, utilities } from '@cornerstonejs/core';
import OHIF from '@ohif/core';
import structuredReports, { hydrateStructuredReport } from '@ohif/extension-cornerstone-dicom-sr';
import dcmjs from 'dcmjs';

const { DicomMetadataStore, classes } = OHIF;
const { DicomMessage, DicomMetaDictionary } = dcmjs.data;
const EDITABLE = ['Angle', 'ArrowAnnotate', 'Bidirectional', 'CircleROI', 'CobbAngle', 'EllipticalROI', 'Length',
  'PlanarFreehandROI', 'Probe', 'RectangleROI'];

metaData.addProvider(classes.MetadataProvider.get.bind(classes.MetadataProvider), 9999);

/** Name the attributes of one object in DICOM JSON. */
export function naturalized(object) {
  return DicomMetaDictionary.naturalizeDataset(object);
}

/** Parse a PS3.10 file. */
export function parse(buffer) {
  const { dict, meta } = DicomMessage.readFile(buffer);
  return { ...DicomMetaDictionary.naturalizeDataset(dict), _meta: meta };
}

/** Name every frame of an image as OHIF's DICOMweb data source does. */
export function imageIdsOf(image) {
  const { StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID } = image;
  const path = `studies/${StudyInstanceUID}/series/${SeriesInstanceUID}/instances/${SOPInstanceUID}`;
  const count = Number(image.NumberOfFrames) || 1;
  return Array.from({ length: count }, (_, index) => `wadors:archive/${path}/frames/${index + 1}`);
}

/** Read a report: which measurements OHIF lists and draws, which a reader may edit, and what it complains of. */
export async function readReport(report, images) {
  const complaints = [];
  const { measurements, annotations } = await listening(complaints, () => hydrated(report, images));
  return { listed: measurements.map(told), editable: annotations.map(editable), complaints };
}

/** Move every measurement by columns and rows, and store the report as OHIF does; gives a PS3.10 file. */
export async function correctReport(report, images, [columns, rows]) {
  return listening([], async () => {
    const { annotations } = await hydrated(report, images);
    const tools = {};
    for (const annotation of annotations) {
      const { data, metadata } = annotation;
      const { referencedImageId, toolName } = metadata;
      data.handles.points = data.handles.points.map(point => {
        const [column, row] = utilities.worldToImageCoords(referencedImageId, point);
        return utilities.imageToWorldCoords(referencedImageId, [column + columns, row + rows]);
      });
      const ofImage = (tools[referencedImageId] ??= {});
      const { data: stored } = (ofImage[toolName] ??= { data: [] });
      stored.push({ ...annotation, finding: data.finding, findingSites: data.findingSites ?? [] });
    }
    const { MeasurementReport } = adaptersSR.Cornerstone3D;
    return dcmjs.data.datasetToBuffer(MeasurementReport.generateReport(tools, metaData, {}).dataset);
  });
}

/** Read a segmentation: label maps of every image, in layers where segments overlap, and what segments are. */
export async function readSegmentation(buffer, images) {
  keep(images);
  const imageIds = images.flatMap(imageIdsOf);
  const { Segmentation } = adaptersSEG.Cornerstone3D;
  const read = await Segmentation.createFromDICOMSegBuffer(imageIds, buffer, { metadataProvider: metaData });
  return {
    layers: read.labelMapImages.map(layer => layer.map(image => image.voxelManager.getScalarData())),
    segments: read.segMetadata.data.filter(Boolean).map(segment => ({
      number: Number(segment.SegmentNumber),
      label: segment.SegmentLabel,
      rgb: colourOf(segment),
    })),
    areOverlapping: read.overlappingSegments,
  };
}

/** Put objects into the viewer's store, which takes those of one series at a time. */
function keep(objects) {
  for (const each of objects) DicomMetadataStore.addInstances([each], false);
}

/** Load a report as OHIF does when its series is opened, then let it turn measurements into annotations. */
async function hydrated(report, images) {
  keep([...images, report]);
  const ohif = services(images);
  const [handler] = structuredReports.default.getSopClassHandlerModule(ohif);
  const [displaySet] = handler.getDisplaySetsFromSeries([report]);
  ohif.displaySets.push(displaySet);
  await displaySet.load();
  if (displaySet.isRehydratable) hydrateStructuredReport(ohif, displaySet.displaySetInstanceUID);
  return { measurements: displaySet.measurements, annotations: ohif.annotations };
}

function services(images) {
  const displaySets = images.map(image => ({ ...image, images: [image], displaySetInstanceUID: image.SOPInstanceUID }));
  const annotations = [];
  const dataSource = { getImageIdsForDisplaySet: ({ images: [image] = [] }) => (image ? imageIdsOf(image) : []) };
  const customizationService = { getCustomization: name => (name === 'codingValues' ? {} : undefined) };
  const measurementService = {
    getSourceMappings: () => EDITABLE.map(annotationType => ({ annotationType, toMeasurementSchema: null })),
    getSource: () => ({}),
    addRawMeasurement: (_source, _type, { annotation }) => annotations.push(annotation),
  };
  const displaySetService = {
    EVENTS: {},
    activeDisplaySets: displaySets,
    getDisplaySetByUID: uid => displaySets.find(each => each.displaySetInstanceUID === uid),
    getDisplaySetsBy: isWanted => displaySets.filter(isWanted),
    subscribe: () => ({}),
  };
  return {
    displaySets,
    annotations,
    servicesManager: {
      services: { displaySetService, measurementService, customizationService },
    },
    extensionManager: { getDataSources: () => [dataSource], getActiveDataSource: () => [dataSource] },
    commandsManager: { runCommand: () => undefined },
  };
}

function told({ TrackingIdentifier, TrackingUniqueIdentifier, labels, loaded }) {
  return { identifier: TrackingIdentifier, uid: TrackingUniqueIdentifier, labels, isDrawn: loaded };
}

/** Keep what the viewer would let a reader edit; points are (column, row) of the image, as SCOORD has them. */
function editable({ data, metadata }) {
  const { referencedImageId, toolName: type } = metadata;
  return {
    type,
    points: data.handles.points.map(point => utilities.worldToImageCoords(referencedImageId, point)),
    imageId: referencedImageId,
    label: data.label,
    finding: data.finding?.CodeMeaning,
    sites: (data.findingSites ?? []).map(({ CodeMeaning }) => CodeMeaning),
    area: data.cachedStats[`imageId:${referencedImageId}`],
  };
}

function colourOf({ RecommendedDisplayCIELabValue: lab }) {
  return lab && dcmjs.data.Colors.dicomlab2RGB(lab).map(part => Math.round(255 * part));
}

/** Collect what is said to the console, which is where these readers put what they cannot use. */
async function listening(complaints, act) {
  const { log, warn, error } = console;
  console.log = () => {};
  console.warn = console.error = (...said) => complaints.push(said.map(each => each?.message ?? `${each}`).join(' '));
  try {
    return await act();
  } finally {
    Object.assign(console, { log, warn, error });
  }
}
