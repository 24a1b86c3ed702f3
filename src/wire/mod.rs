//! The PostgreSQL protocol: startup, simple and extended query, COPY, cancel.
