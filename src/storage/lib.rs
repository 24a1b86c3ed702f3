//! The transactional B+tree storage engine of Lightning DB.
#![deny(unsafe_code)]
