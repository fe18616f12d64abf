"""Settings of worklists: who is asked for the order behind a study."""

from dicom_node.section import AETitle, Name, Port, Seconds, Section
from dicom_node.tls import Tls


class Worklist(Section):
    """`[[worklists]]`: a RIS that is asked by Modality Worklist (PS3.4 K) for the order behind a study."""

    name: Name
    """Name in `status` and logs."""
    ae_title: AETitle
    """AE title of the RIS."""
    host: str = "127.0.0.1"
    """Its address. Default 127.0.0.1."""
    port: Port
    """Its TCP port."""
    calling_ae_title: AETitle = "MEDVERSA"
    """How we call ourselves there. Default: our own AE title."""
    timeout_s: Seconds = 10.0
    """Seconds to wait for a connection or an answer. Default 10."""
    tls: Tls | None = None
    """true: it is called over TLS, as `[tls]` says. Default: without."""
