"""The tables; the only DDL of the project.

Times are microseconds since 1970 UTC: they compare, index and travel the same on SQLite and PostgreSQL.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

SCHEMA_VERSION = 13
"""2 added holds and decisions, 3 withdrawals, 4 proofs and tokens, 5 commitments,
6 lanes of jobs, 7 announcements, 8 decisions about quarantine, 9 orders, 10 removals,
11 rejections, 12 comparisons, 13 digests by BLAKE3.

Tables and columns that are missing are made when an index is opened; so a new column of a table that was
published before may be null or has a `server_default`. Columns named `sha256` with the key `digest` have the
names of before 13."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime, stored as whole microseconds since 1970 UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


AutoId = BigInteger().with_variant(Integer, "sqlite")
Uid = String(64)

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

studies = Table(
    "studies",
    metadata,
    Column("study_instance_uid", Uid, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("study_date", String(16), nullable=False),
    Column("study_time", String(16), nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("issuer_of_patient_id", Text, nullable=False),
    Column("patient_birth_date", String(16), nullable=False),
    Column("patient_sex", String(16), nullable=False),
    Column("first_received_at", UtcTime, nullable=False),
    Column("last_received_at", UtcTime, nullable=False),
    Index("studies_by_patient", "patient_id"),
    Index("studies_by_state", "state"),
)

instances = Table(
    "instances",
    metadata,
    Column("sop_instance_uid", Uid, primary_key=True),
    Column("sop_class_uid", Uid, nullable=False),
    Column("series_instance_uid", Uid, nullable=False),
    Column("study_instance_uid", Uid, ForeignKey("studies.study_instance_uid"), nullable=False),
    Column("transfer_syntax_uid", Uid, nullable=False),
    Column("modality", String(16), nullable=False),
    Column("body_part", String(64), nullable=False),
    Column("description", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), key="digest", nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False, default=0),
    Column("received_at", UtcTime, nullable=False),
    Index("instances_by_study", "study_instance_uid", "series_instance_uid"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", AutoId, primary_key=True, autoincrement=True),
    Column("study_instance_uid", Uid, ForeignKey("studies.study_instance_uid"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("detail", Text, nullable=False, default=""),
    Column("priority", String(16), nullable=False, server_default="routine"),
    Column("overdue_at", UtcTime, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("sendings", Integer, nullable=False, server_default="0"),
    Column("lease_owner", String(128)),
    Column("lease_token", BigInteger, nullable=False, default=0),
    Column("lease_until", UtcTime),
    Column("not_before", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    UniqueConstraint("study_instance_uid", "revision"),
    Index("jobs_by_state", "state", "not_before"),
    Index("jobs_by_urgency", "state", "overdue_at"),
)

results = Table(
    "results",
    metadata,
    Column("sop_instance_uid", Uid, primary_key=True),
    Column("job_id", AutoId, ForeignKey("jobs.job_id"), nullable=False),
    Column("sop_class_uid", Uid, nullable=False),
    Column("series_instance_uid", Uid, nullable=False),
    Column("study_instance_uid", Uid, nullable=False),
    Column("modality", String(16), nullable=False),
    Column("series_description", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("ordinal", Integer, nullable=False),
    UniqueConstraint("job_id", "ordinal"),
    Index("results_by_study", "study_instance_uid"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("sop_instance_uid", Uid, ForeignKey("results.sop_instance_uid"), primary_key=True),
    Column("destination", String(64), primary_key=True),
    Column("job_id", AutoId, ForeignKey("jobs.job_id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("dimse_status", Integer),
    Index("deliveries_by_job", "job_id"),
)

proofs = Table(
    "proofs",
    metadata,
    Column("sop_instance_uid", Uid, ForeignKey("results.sop_instance_uid"), primary_key=True),
    Column("destination", String(64), primary_key=True),
    Column("method", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("requests", Integer, nullable=False),
    Column("asked_at", UtcTime),
    Column("answered_at", UtcTime),
    Column("transaction_uid", Uid),
    Column("detail", Text, nullable=False, default=""),
    Index("proofs_by_transaction", "transaction_uid"),
)

commitments = Table(
    "commitments",
    metadata,
    Column("transaction_uid", Uid, primary_key=True),
    Column("ae_title", String(16), primary_key=True),
    Column("objects", Text, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("not_before", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reported_at", UtcTime),
    Index("commitments_by_peer", "ae_title", "reported_at"),
)

performed_steps = Table(
    "performed_steps",
    metadata,
    Column("step_uid", Uid, primary_key=True),
    Column("study_instance_uid", Uid, primary_key=True),
    Column("status", String(16), nullable=False),
    Index("performed_steps_by_study", "study_instance_uid"),
)

announced_images = Table(
    "announced_images",
    metadata,
    Column("study_instance_uid", Uid, primary_key=True),
    Column("sop_instance_uid", Uid, primary_key=True),
    Column("series_instance_uid", Uid, nullable=False),
)

quiet_gaps = Table(
    "quiet_gaps",
    metadata,
    Column("study_instance_uid", Uid, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("ae_title", String(16), nullable=False),
    Column("gap_ms", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("quiet_gaps_by_source", "ae_title", "at"),
)

orders = Table(
    "orders",
    metadata,
    Column("study_instance_uid", Uid, primary_key=True),
    Column("indication", Text, nullable=False),
    Column("requested_procedure", Text, nullable=False),
    Column("accession_number", String(64), nullable=False),
    Column("priority", String(16), nullable=False),
    Column("found_at", UtcTime, nullable=False),
)

holds = Table(
    "holds",
    metadata,
    Column("job_id", AutoId, ForeignKey("jobs.job_id"), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("faults", Text, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", AutoId, primary_key=True, autoincrement=True),
    Column("job_id", AutoId, ForeignKey("jobs.job_id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("decided_by", String(128), nullable=False),
    Column("why", Text, nullable=False),
    Index("decisions_by_job", "job_id"),
)

withdrawals = Table(
    "withdrawals",
    metadata,
    Column("sop_instance_uid", Uid, ForeignKey("results.sop_instance_uid"), primary_key=True),
    Column("decision_id", AutoId, ForeignKey("decisions.decision_id"), nullable=False),
    Column("note_uid", Uid, ForeignKey("results.sop_instance_uid")),
    Index("withdrawals_by_decision", "decision_id"),
)

refusals = Table(
    "refusals",
    metadata,
    Column("refusal_id", AutoId, primary_key=True, autoincrement=True),
    Column("sop_instance_uid", String(128), nullable=False),
    Column("study_instance_uid", String(128), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("dimse_status", Integer, nullable=False),
    Column("kept_at", Text),
    Column("sha256", String(64), key="digest"),
    Column("calling_ae_title", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("fate", String(16)),
    Column("decided_at", UtcTime),
    Column("decided_by", String(128)),
    Column("why", Text),
    Index("refusals_by_instance", "sop_instance_uid"),
)

notes_to_read = Table("notes_to_read", metadata, Column("sop_instance_uid", Uid, primary_key=True))
"""Key object selections: each may be a rejection note."""

rejected_instances = Table(
    "rejected_instances",
    metadata,
    Column("study_instance_uid", Uid, primary_key=True),
    Column("sop_instance_uid", Uid, primary_key=True),
    Column("title", String(16), nullable=False),
    Column("told_up_to", Integer, nullable=False),
)
"""`told_up_to` is the last revision of the study whose reading had begun when it was rejected."""

compared_instances = Table(
    "compared_instances",
    metadata,
    Column("job_id", AutoId, ForeignKey("jobs.job_id"), primary_key=True),
    Column("sop_instance_uid", Uid, primary_key=True),
    Column("study_instance_uid", Uid, nullable=False),
    Index("compared_instances_by_study", "study_instance_uid"),
)
"""What a job was shown of priors: images, and the earlier study of each."""

doomed_files = Table("doomed_files", metadata, Column("path", Text, primary_key=True))

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", AutoId, primary_key=True, autoincrement=True),
    Column("name", String(16), nullable=False, unique=True),
    Column("sha256", String(64), nullable=False),
    Column("scopes", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
)

events = Table(
    "events",
    metadata,
    Column("event_id", AutoId, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("study_instance_uid", Uid, nullable=False),
    Column("job_id", AutoId),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("detail", Text, nullable=False, default=""),
    Index("events_by_study", "study_instance_uid"),
)
