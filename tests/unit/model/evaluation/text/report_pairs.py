"""Predictions and their references on which all text metrics meet their public implementations."""

PAIRS: tuple[tuple[str, str], ...] = (
    # nothing, one word, punctuation only
    ("", ""),
    ("", "No pneumothorax."),
    ("No pneumothorax.", ""),
    (" ", "Clear lungs."),
    ("Normal.", "Normal."),
    ("normal", "Normal."),
    ("Normal", "Abnormal"),
    ("Effusion.", "There is a small left pleural effusion."),
    (".", "."),
    ("...", "No change."),
    ("?!", "Is there an effusion?"),
    # the same
    ("The lungs are clear.", "The lungs are clear."),
    ("No acute cardiopulmonary process.", "No acute cardiopulmonary process."),
    (
        "Heart size is normal. The lungs are clear. No pleural effusion or pneumothorax.",
        "Heart size is normal. The lungs are clear. No pleural effusion or pneumothorax.",
    ),
    # nearly the same
    ("The lungs are clear", "The lungs are clear."),
    ("THE LUNGS ARE CLEAR.", "the lungs are clear."),
    ("The  lungs   are clear.", "The lungs are clear."),
    ("The lungs\nare\tclear.", "The lungs are clear."),
    ("Lungs are clear.", "The lungs are clear."),
    ("The lungs are clear. The lungs are clear.", "The lungs are clear."),
    ("No effusion.", "No pleural effusion."),
    ("No pleural effusion.", "Pleural effusion."),
    ("A large left pleural effusion.", "A small right pleural effusion."),
    # repeated words
    ("the the the the the the the", "The cat sat on the mat."),
    ("no no no no effusion effusion effusion", "No effusion."),
    ("effusion " * 40, "Small effusion."),
    ("Small effusion.", "effusion " * 40),
    ("left left right right", "right right left left"),
    # order
    ("Effusion is present. The heart is enlarged.", "The heart is enlarged. Effusion is present."),
    ("clear are lungs the", "the lungs are clear"),
    # lengths
    ("Stable.", "Stable appearance of the chest with no new consolidation, effusion or pneumothorax."),
    ("Stable appearance of the chest with no new consolidation, effusion or pneumothorax.", "Stable."),
    (
        "Endotracheal tube terminates 4 cm above the carina. Nasogastric tube in the stomach. Bilateral "
        "interstitial opacities are unchanged and may reflect edema. Small bilateral effusions.",
        "The endotracheal tube ends 4.2 cm above the carina and the enteric tube is in the stomach. "
        "Interstitial edema is unchanged, with small pleural effusions on both sides.",
    ),
    (
        "Moderate cardiomegaly with mild pulmonary vascular congestion.",
        "Moderate enlargement of the cardiac silhouette. Mild vascular congestion without overt edema.",
    ),
    (
        "Right lower lobe consolidation, concerning for pneumonia.",
        "Focal opacity in the right lower lobe, which in the right clinical setting may be pneumonia.",
    ),
    (
        "Left-sided PICC line tip in the mid SVC. No pneumothorax.",
        "A left PICC terminates in the mid superior vena cava; there is no pneumothorax.",
    ),
    ("Median sternotomy wires are intact.", "Intact median sternotomy wires."),
    ("Large right pneumothorax with mediastinal shift.", "No pneumothorax."),
    ("Lungs are hyperinflated, in keeping with COPD.", "Hyperinflation consistent with emphysema."),
    ("Old healed left rib fractures.", "Chronic left-sided rib fractures, healed."),
    ("There is atelectasis at the left base.", "Left basilar atelectasis."),
    ("Compared to the prior, the effusion has increased.", "Effusion is larger than before."),
    ("Compared to the prior, the effusion has increased.", "The effusion has decreased since the prior."),
    # figures, units, signs
    ("A nodule of 8 mm in the right upper lobe.", "An 8-mm nodule in the right upper lobe."),
    ("A nodule of 1,234 mm.", "A nodule of 1234 mm."),
    ("Heart-to-chest ratio of 0.55.", "Cardiothoracic ratio is 0.55."),
    ("T1-T12 are normal (see above).", "The spine [T1 to T12] is normal."),
    ("perihilar/basilar opacities", "perihilar and basilar opacities"),
    ('"Ground-glass" opacities; nothing else.', "Ground glass opacities: nothing else!"),
    ("The patient's heart isn't enlarged.", "The patient's heart is not enlarged."),
    ("Size > 3 cm & growing by 50%.", "Size over 3 cm, growing by 50 %."),
    ("___ year old with cough.", "Cough."),
    ("Dr. ___ was paged at 10:30 a.m.", "The team was paged at 10.30 am."),
    ("1. Clear lungs. 2. Normal heart.", "Clear lungs. Normal heart."),
    # letters of other alphabets and signs
    ("Kein Erguß, Herz mäßig vergrößert.", "Kein Erguss, Herz mäßig vergrößert."),
    ("Épanchement pleural gauche.", "Epanchement pleural gauche."),
    ("胸水なし。", "胸水なし。"),
    ("µm-scale change, 5 × 3 cm", "5 x 3 cm"),
    ("Clear – no change…", "Clear - no change..."),
    ("naïve café", "naive cafe"),
    ("\u00a0Clear\u2009lungs\u200b.", "Clear lungs."),
    ("🙂 clear", "clear"),
)

PREDICTIONS = [prediction for prediction, _ in PAIRS]
REFERENCES = [[reference] for _, reference in PAIRS]

SEVERAL: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("the lungs are clear", ("the lungs are clear bilaterally", "clear lungs", "lungs clear")),
    ("no effusion or pneumothorax is seen", ("no pneumothorax", "there is no effusion or pneumothorax")),
    ("heart size is normal", ("normal heart size", "the heart is normal in size", "heart size is normal")),
    ("", ("no change", "stable")),
)
"""Pre-tokenised predictions with several references."""
