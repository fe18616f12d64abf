"""Settings of completion: how long a study is waited for, and what else tells that it is there."""

from dicom_node.section import Seconds, Section


class Completion(Section):
    """`[completion]`: when a study is complete, beside `node.quiet_period_s`."""

    settled_s: Seconds = 2.0
    """Seconds of quiet after which a study is complete of which everything announced is here. Default 2."""
    limit_s: Seconds = 3600.0
    """Seconds since the first instance of a revision after which nothing is waited for. Default 3600."""
    learn: bool = True
    """Whether the quiet period of a source is learned, once it has sent 20 studies. Default true."""
    shortest_quiet_s: Seconds = 5.0
    """Shortest quiet period that is learned. Default 5, or quiet_period_s where that is shorter."""
    longest_quiet_s: Seconds = 120.0
    """Longest quiet period that is learned. Default 120."""
    count_at: str = ""
    """Name of the `[[query_retrieve]]` that is asked how many images a study has. Default: nobody."""
