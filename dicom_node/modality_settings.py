"""Settings of those who send studies and want to be answered on an association of ours."""

from dicom_node.section import AETitle, Name, Port, Seconds, Section
from dicom_node.tls import Tls


class Modality(Section):
    """`[[modalities]]`: where a sender listens that asks us for storage commitment."""

    name: Name
    """Name in logs."""
    ae_title: AETitle
    """AE title by which it calls us, and by which it is called. One that is not listed gets its report on the
    association of its request, while that lasts."""
    host: str = "127.0.0.1"
    """Its address. Default 127.0.0.1."""
    port: Port
    """Its TCP port."""
    calling_ae_title: AETitle = "MEDVERSA"
    """How we call ourselves there. Default: our own AE title."""
    timeout_s: Seconds = 30.0
    """Seconds to wait for a connection or an answer. Default 30."""
    tls: Tls | None = None
    """true: it is called over TLS, as `[tls]` says. Default: without."""
