//! A connection's state: transaction, settings, prepared statements, portals.
