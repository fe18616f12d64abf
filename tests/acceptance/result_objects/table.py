"""Which test shows which acceptance check of result objects, and which item of IHE AI Results (AIR).

Paths without a folder are files beside this one. A check that is not shown as it is worded has its reason in
`DIFFERENCES`.
"""

CHECKS: dict[int, tuple[str, ...]] = {
    1: ("test_programs_judge.py::test_check_01_dciodvfy_finds_no_error",),
    2: ("test_programs_judge.py::test_check_02_dcentvfy_finds_results_consistent_with_their_source",),
    3: ("test_programs_judge.py::test_check_03_pixelmed_finds_no_error",),
    4: ("test_programs_judge.py::test_check_04_pixelmed_warns_of_nothing_in_a_report_of_boxes",),
    5: ("test_programs_judge.py::test_check_05_dcmtk_reads_every_document",),
    6: ("test_programs_judge.py::test_check_06_every_object_becomes_json_and_is_read_at_pydicoms_strictest",),
    7: ("test_programs_judge.py::test_check_07_dcmpschk_passes_every_presentation_state",),
    8: (
        "test_presentation_states.py"
        "::test_check_08_an_inverted_image_looks_the_same_through_its_presentation_state",
    ),
    9: ("test_presentation_states.py::test_check_09_of_two_windows_one_is_presented",),
    10: ("test_presentation_states.py::test_check_10_a_classic_multi_frame_image_is_named_with_one_frame",),
    11: (
        "test_presentation_states.py"
        "::test_check_11_a_colour_image_gets_a_small_state_with_the_profile_of_an_input_device",
    ),
    12: ("test_programs_judge.py::test_check_12_dcmqi_reads_as_many_groups_as_were_written",),
    13: ("test_report_content.py::test_check_13_highdicom_reads_the_groups_that_were_built",),
    14: (
        "tests/viewers/test_ohif_reader.py::test_every_box_becomes_a_rectangle_with_its_finding",
        "tests/viewers/test_ohif_reader.py::test_the_reader_misses_no_coordinates",
    ),
    15: ("test_report_content.py::test_check_15_no_group_with_coordinates_holds_a_number",),
    16: (
        "test_report_content.py::test_check_16_what_is_absent_is_an_answer_and_never_a_finding",
        "test_report_content.py::test_check_16_a_class_that_was_not_chosen_is_stated_by_no_code",
    ),
    17: (
        "test_report_content.py::test_check_17_every_change_has_a_baseline_among_other_evidence",
        "test_report_content.py::test_check_17_a_change_since_an_unknown_prior_is_refused",
    ),
    18: ("test_report_content.py::test_check_18_changes_and_presences_are_of_the_reviewed_tables",),
    19: ("test_report_content.py::test_check_19_a_certainty_is_a_percentage_with_at_most_one_decimal",),
    20: ("test_report_content.py::test_check_20_a_volume_is_that_of_the_segment_in_the_file",),
    21: ("test_codes_and_marks.py::test_check_21_every_snomed_code_is_well_formed_and_reviewed",),
    22: (
        "test_codes_and_marks.py"
        "::test_check_22_a_label_without_reviewed_code_is_said_in_a_declared_local_scheme",
    ),
    23: ("test_codes_and_marks.py::test_check_23_every_report_and_segment_identifies_its_algorithm",),
    24: (
        "test_codes_and_marks.py::test_check_24_nothing_claims_to_be_verified_final_or_observed_by_a_person",
    ),
    25: ("test_codes_and_marks.py::test_check_25_the_report_says_its_language_and_keeps_every_letter",),
    26: (
        "test_headers.py::test_check_26_everything_is_in_unicode",
        "test_headers.py::test_check_26_a_code_inside_a_cyrillic_source_can_be_read",
    ),
    27: ("test_headers.py::test_check_27_a_name_in_any_character_set_is_that_of_the_source",),
    28: ("test_headers.py::test_check_28_what_the_source_lacks_of_type_2_costs_no_object",),
    29: ("test_headers.py::test_check_29_illegal_values_stop_nothing_and_the_sex_stays_as_it_was",),
    30: ("test_headers.py::test_check_30_nothing_private_no_comments_and_no_operator_go_on",),
    31: (
        "test_headers.py::test_check_31_a_box_that_marks_nothing_is_refused",
        "test_headers.py::test_check_31_a_box_over_the_edge_is_cut_to_the_image",
    ),
    32: ("test_segmentations.py::test_check_32_every_slice_of_a_mask_lies_on_its_source_instance",),
    33: (
        "test_segmentations.py"
        "::test_check_33_an_organ_on_the_networks_grid_keeps_centre_and_volume_in_the_file",
    ),
    34: (
        "test_segmentations.py::test_check_34_a_segmentation_has_the_affine_of_its_source",
        "test_segmentations.py::test_check_34_a_segmentation_of_an_enhanced_image_has_its_affine",
    ),
    35: (
        "test_segmentations.py::test_check_35_a_mask_on_uneven_slices_keeps_the_position_of_every_slice",
        "test_segmentations.py::test_check_35_a_study_of_uneven_slices_is_left_out_with_that_reason",
    ),
    36: (
        "test_segmentations.py"
        "::test_check_36_without_a_mask_there_is_no_segmentation_and_no_reference_to_one",
        "test_segmentations.py::test_check_36_an_organ_that_was_not_found_has_no_segment_and_no_group",
    ),
    37: ("test_segmentations.py::test_check_37_four_organs_on_300_slices_cost_little",),
    38: ("test_segmentations.py::test_check_38_the_side_is_a_modifier_of_the_type",),
    39: (
        "test_identity.py::test_check_39_the_same_job_in_a_fresh_process_gives_the_same_bytes",
        "test_identity.py::test_check_39_another_content_is_another_instance",
        "test_identity.py::test_check_39_a_second_run_names_the_first_and_lies_in_series_of_its_own",
    ),
    40: (
        "tests/integration/test_archives_keep_results.py::test_check_40_every_object_is_stored",
        "tests/integration/test_archives_keep_results.py"
        "::test_check_40_every_frame_is_drawn_and_the_archive_lives_on",
        "tests/integration/test_archive_dicomweb.py::test_check_40_every_object_is_stored_by_stow",
        "tests/integration/test_archive_dicomweb.py"
        "::test_check_40_qido_lists_the_series_as_they_were_written",
        "tests/integration/test_archive_dicomweb.py::test_check_40_wado_gives_back_what_was_sent",
        "tests/integration/test_archive_dicomweb.py::test_check_40_gdcm_reads_every_picture",
    ),
}

DIFFERENCES: dict[int, str] = {
    3: "a code that PixelMed's context groups of 2022 lack, and pydicom's newer ones have, is no error",
    4: (
        "one box: PixelMed applies TID 1410 to a report with exactly one region and TID 1501 to any other; "
        "Algorithm Manufacturer is a row of TID 4019 that is younger than its tables"
    ),
    16: "a class of a skin lesion that was not chosen is said in words: a choice among classes denies none",
    18: "worse and improved, whose codes nobody could verify, are not said at all",
    35: "uneven slices fit no grid of the network: such a study is not read, and the job says why",
    37: "seconds are those of the processor, since others may use the machine meanwhile",
}

AIR: dict[str, tuple[str, ...]] = {
    "A1": ("test_air.py::test_air_a01_results_are_filed_with_the_current_study_and_its_order",),
    "A2": ("test_air.py::test_air_a02_each_kind_of_object_has_its_series",),
    "A3": ("test_air.py::test_air_a03_a_job_that_is_run_again_makes_no_second_copy",),
    "A4": ("test_air.py::test_air_a04_equipment_names_node_model_and_weights",),
    "A5": ("test_air.py::test_air_a05_a_device_observed_and_nobody_verified",),
    "A6": ("test_air.py::test_air_a06_the_imaging_procedure_is_reported_and_every_image_is_in_the_library",),
    "A7": ("test_air.py::test_air_a07_what_is_absent_is_said_and_so_is_a_reading_that_found_nothing",),
    "A8": ("test_air.py::test_air_a08_numbers_have_units_and_name_what_they_measure",),
    "A9": ("test_air.py::test_air_a09_coordinates_lie_inside_their_image_and_name_its_frame",),
    "A10": ("test_air.py::test_air_a10_segments_are_coded_automatic_and_on_their_source",),
    "A11": (
        "test_air.py::test_air_a11_segmentations_are_read_back_and_none_is_a_label_map",
        "test_programs_judge.py::test_check_01_dciodvfy_finds_no_error",
    ),
    "A12": ("test_air.py::test_air_a12_report_and_segments_are_tracked_alike_and_name_their_series",),
    "A14": ("test_air.py::test_air_a14_a_lesion_keeps_its_uid_from_study_to_study_and_shares_it_with_none",),
    "A15": ("test_air.py::test_air_a15_priors_are_other_evidence_and_nothing_is_named_unlisted",),
    "A16": ("test_air.py::test_air_a16_the_report_lists_every_object_and_misses_one_that_is_gone",),
    "A17": ("test_air.py::test_air_a17_a_change_is_placed_in_time_and_has_a_baseline",),
    "A18": ("test_air.py::test_air_a18_a_correction_names_its_predecessor_and_nothing_is_rejected_unasked",),
    "A19": ("tests/integration/test_archives_keep_results.py::test_check_40_every_object_is_stored",),
    "A20": ("tests/integration/test_archive_dicomweb.py::test_air_a20_results_are_found_by_kind_and_words",),
}

NOT_YET: dict[str, str] = {
    "A13": "no parametric map is written: the model gives no map of a quantity",
    "A19": "the node does not ask for storage commitment yet: it counts the status of each object only",
    "A20": "a query by template code needs an archive that indexes content, which Orthanc does not",
}
"""What of AIR is not shown, wholly or in part, and why."""
