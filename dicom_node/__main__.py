"""`python -m dicom_node`: the same as the command `medversa-node`."""

from dicom_node.cli import main

if __name__ == "__main__":
    main()
