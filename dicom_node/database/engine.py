"""Opens the index: one object that holds a repository for each kind of row."""

from dataclasses import dataclass

from sqlalchemy import DDL, Connection, insert, inspect, select, update
from sqlalchemy.schema import CreateColumn

from dicom_node.database.announcements import AnnouncementRepository
from dicom_node.database.catalogue import CatalogueRepository
from dicom_node.database.commitments import CommitmentRepository
from dicom_node.database.connections import Clock, Connections, connect, utc_now
from dicom_node.database.decisions import DecisionRepository
from dicom_node.database.deliveries import DeliveryRepository
from dicom_node.database.events import EventRepository
from dicom_node.database.instances import InstanceRepository
from dicom_node.database.interventions import InterventionRepository
from dicom_node.database.jobs import JobRepository
from dicom_node.database.orders import OrderRepository
from dicom_node.database.proofs import ProofRepository
from dicom_node.database.quarantine import QuarantineRepository
from dicom_node.database.refusals import RefusalRepository
from dicom_node.database.rejections import RejectionRepository
from dicom_node.database.removals import RemovalRepository
from dicom_node.database.results import ResultRepository
from dicom_node.database.schema import SCHEMA_VERSION, metadata, schema_version
from dicom_node.database.studies import StudyRepository
from dicom_node.database.tokens import TokenRepository
from dicom_node.database.withdrawals import WithdrawalRepository
from dicom_node.errors import StorageError


@dataclass(frozen=True, slots=True, eq=False)
class Database:
    """The index of everything that the node has received, done and sent."""

    connections: Connections
    studies: StudyRepository
    instances: InstanceRepository
    jobs: JobRepository
    results: ResultRepository
    deliveries: DeliveryRepository
    proofs: ProofRepository
    commitments: CommitmentRepository
    announcements: AnnouncementRepository
    orders: OrderRepository
    decisions: DecisionRepository
    interventions: InterventionRepository
    withdrawals: WithdrawalRepository
    refusals: RefusalRepository
    quarantine: QuarantineRepository
    rejections: RejectionRepository
    removals: RemovalRepository
    events: EventRepository
    tokens: TokenRepository
    catalogue: CatalogueRepository

    def close(self) -> None:
        self.connections.engine.dispose()


def open_database(url: str, clock: Clock = utc_now) -> Database:
    """Open the index at a SQLAlchemy URL; make its tables if it is new. A SQLite file needs its folder.

    Raises:
        StorageError: it cannot be opened, or a newer version of this software made it.
    """
    connections = Connections(connect(url), clock)
    with connections.writing() as connection:
        metadata.create_all(connection)
        found = connection.execute(select(schema_version.c.version)).scalar_one_or_none()
        if found is None:
            connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))
        elif found < SCHEMA_VERSION:
            _add_what_is_missing(connection)
            connection.execute(update(schema_version).values(version=SCHEMA_VERSION))
    if found is not None and found > SCHEMA_VERSION:
        raise StorageError(f"the index has schema {found}, this software knows {SCHEMA_VERSION}: upgrade it")
    return Database(
        connections=connections,
        studies=StudyRepository(connections),
        instances=InstanceRepository(connections),
        jobs=JobRepository(connections),
        results=ResultRepository(connections),
        deliveries=DeliveryRepository(connections),
        proofs=ProofRepository(connections),
        commitments=CommitmentRepository(connections),
        announcements=AnnouncementRepository(connections),
        orders=OrderRepository(connections),
        decisions=DecisionRepository(connections),
        interventions=InterventionRepository(connections),
        withdrawals=WithdrawalRepository(connections),
        refusals=RefusalRepository(connections),
        quarantine=QuarantineRepository(connections),
        rejections=RejectionRepository(connections),
        removals=RemovalRepository(connections),
        events=EventRepository(connections),
        tokens=TokenRepository(connections),
        catalogue=CatalogueRepository(connections),
    )


def _add_what_is_missing(connection: Connection) -> None:
    """Add columns and indexes that newer versions gave to tables which were there."""
    inspector = inspect(connection)
    for table in metadata.sorted_tables:
        present = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in present:
                added = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(DDL(f"ALTER TABLE {table.name} ADD COLUMN {added}"))
        for index in table.indexes:
            index.create(connection, checkfirst=True)
