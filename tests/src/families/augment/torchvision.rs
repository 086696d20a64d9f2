//! torchvision v2's functionals.

use super::Outcome;
use crate::golden::{Case, File};

pub(super) fn check(_file: &File, _case: &Case) -> Result<(), Outcome> {
    Err(Outcome::Unsupported)
}
