"""What can go wrong between the stream and the tables, and how each is met.

FleetError
├── ConfigurationError
│   ├── SchemaTooNewError       a newer release migrated this database: refuse to start
│   └── MigrationChangedError   an applied migration differs from the code: refuse to start
├── TransientError              end the session, back off, resume at the stored position
│   ├── DatabaseAwayError       no connection, or no answer in time
│   ├── DatabaseFullError       SQLSTATE 53100: red until there is space
│   ├── DatabaseReadOnlyError   SQLSTATE 25006: red until it takes writes (failover?)
│   ├── DatabaseRefusedError    any other answer (password, rights, connections): red likewise
│   ├── BrokerAwayError         the broker does not answer: ask again, the session goes on
│   ├── PassedOverError         the broker skipped messages that its stream holds
│   └── OwnershipLostError      another writer moved the stream's position
└── PermanentError
    ├── DuplicateRowsError      a unique key is taken: store the batch through staging
    └── RefusedRowsError        a value no column holds: isolate the message, set it aside
"""

from fleet_common.errors import ConfigurationError, PermanentError, TransientError


class SchemaTooNewError(ConfigurationError):
    """The database was migrated by a newer release."""


class MigrationChangedError(ConfigurationError):
    """A migration that was applied is not the one in the code."""


class DatabaseAwayError(TransientError):
    """No connection to the database, or no answer within the deadline."""


class DatabaseFullError(TransientError):
    """The database's disk is full."""


class DatabaseReadOnlyError(TransientError):
    """The database takes no writes: a standby, or one that lost its role."""


class DatabaseRefusedError(TransientError):
    """The database answered with an error that names neither our data nor its disk."""


class BrokerAwayError(TransientError):
    """The broker did not answer a question in time, or with an error."""


class PassedOverError(TransientError):
    """A consumer skipped messages that are still in the stream: they are to be read again."""


class OwnershipLostError(TransientError):
    """The stored position is not the one this writer stored last."""


class DuplicateRowsError(PermanentError):
    """A row's key is in the table already."""


class RefusedRowsError(PermanentError):
    """A value that the database cannot hold (out of range, NUL in a text)."""
