-- Forwards every study that has become stable to the node, which Orthanc knows as modality "medversa".
-- Results that the node writes back make the study stable again and are forwarded too: the node knows its own
-- results and starts nothing for them.

function OnStableStudy(studyId, tags, metadata)
   local job = { Resources = { studyId }, Synchronous = false }
   RestApiPost('/modalities/medversa/store', DumpJson(job, true))
end
