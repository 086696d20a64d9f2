//! Golden references, end-to-end, resume and backend tests.
