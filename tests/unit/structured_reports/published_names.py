"""Names as Wu et al. publish them (Chest ImaGenome Dataset, PhysioNet 2021): boxed; findings and diseases."""

CHEST_IMAGENOME_STRUCTURES = (
    *(
        f"{side} {part}"
        for side in ("left", "right")
        for part in (
            "lung",
            "apical zone",
            "upper lung zone",
            "mid lung zone",
            "lower lung zone",
            "hilar structures",
            "costophrenic angle",
            "cardiophrenic angle",
            "hemidiaphragm",
            "clavicle",
            "cardiac silhouette",
            "upper abdomen",
        )
    ),
    *("trachea", "carina", "spine", "mediastinum", "upper mediastinum", "svc", "cavoatrial junction"),
    *("cardiac silhouette", "right atrium", "aortic arch", "descending aorta", "abdomen"),
)
CHEST_IMAGENOME_FINDINGS = (
    *("lung opacity", "airspace opacity", "consolidation", "infiltration", "atelectasis"),
    *("linear/patchy atelectasis", "lobar/segmental collapse", "pulmonary edema/hazy opacity"),
    *("vascular congestion", "vascular redistribution", "increased reticular markings/ild pattern"),
    *("pleural effusion", "costophrenic angle blunting", "pleural/parenchymal scarring", "bronchiectasis"),
    *("enlarged cardiac silhouette", "mediastinal displacement", "mediastinal widening", "enlarged hilum"),
    *("tortuous aorta", "vascular calcification", "pneumomediastinum", "pneumothorax", "hydropneumothorax"),
    *("lung lesion", "mass/nodule (not otherwise specified)", "multiple masses/nodules", "calcified nodule"),
    *("superior mediastinal mass/enlargement", "rib fracture", "clavicle fracture", "spinal fracture"),
    *("hyperaeration", "cyst/bullae", "elevated hemidiaphragm", "diaphragmatic eventration (benign)"),
    *("sub-diaphragmatic air", "subcutaneous air", "hernia", "scoliosis", "spinal degenerative changes"),
    *("shoulder osteoarthritis", "bone lesion", "pneumonia", "aspiration", "copd/emphysema", "goiter"),
    *("fluid overload/heart failure", "interstitial lung disease", "lung cancer", "pericardial effusion"),
    *("granulomatous disease", "alveolar hemorrhage"),
)
