//! torchvision v2's functionals.

mod color;
mod geometry;

use super::Outcome;
use super::images::{apply, apply_nearest, results};
use super::targets::{self, Convention};
use crate::compare::Tolerance;
use crate::golden::{Case, File};
use firecraft::augment::{Plan, SampleMeta, Transform};

/// What a case asks for, in our terms.
pub(super) struct Request {
    pub(super) transform: Box<dyn Transform>,
    /// Of bytes; numbers are always compared to 1e-5.
    pub(super) bytes: Tolerance,
    pub(super) points: Convention,
    /// Nearest neighbours: the peer decides ties by its rounding errors.
    pub(super) ties: bool,
    /// How near boxes and key points have to be.
    pub(super) targets: Tolerance,
}

impl Request {
    pub(super) fn exact(transform: impl Transform) -> Self {
        Self {
            transform: Box::new(transform),
            bytes: Tolerance::EXACT,
            points: Convention::Centre,
            ties: false,
            targets: targets::TOLERANCE,
        }
    }

    pub(super) fn interpolated(transform: impl Transform) -> Self {
        Self {
            transform: Box::new(transform),
            bytes: Tolerance::abs(1.0),
            points: Convention::Corner,
            ties: false,
            targets: targets::TOLERANCE,
        }
    }

    /// The peer rounds the points it moves up to whole pixels first.
    pub(super) fn with_targets_near(mut self) -> Self {
        self.targets = Tolerance::abs(2.0);
        self
    }

    pub(super) fn with_ties(mut self, ties: bool) -> Self {
        self.ties = ties;
        self
    }

    fn plan(&self, meta: &SampleMeta) -> Result<Plan, Outcome> {
        super::plan(&*self.transform, meta)
    }
}

pub(super) fn check(file: &File, case: &Case) -> Result<(), Outcome> {
    for expected in results(file, case)? {
        let args = if expected.result.get("args").is_null() {
            case.args()
        } else {
            expected.result.get("args")
        };
        if !expected.result.get("error").is_null() {
            continue;
        }
        let request = match geometry::request(case.name(), &args) {
            Err(Outcome::Unsupported) => color::request(case.name(), &args, expected.is_float)?,
            other => other?,
        };
        let tolerance = if expected.is_float {
            Tolerance::TENSOR
        } else {
            request.bytes
        };
        if request.ties {
            apply_nearest(&expected, |meta| request.plan(meta))?;
        } else {
            apply(&expected, tolerance, |meta| request.plan(meta))?;
        }
        if case.has("targets") {
            // One fill goes to masks, too; the peer refuses several.
            let mask_fill = args.get("fill").json().as_u64().unwrap_or(0) as u8;
            let expected = case.get("targets");
            targets::check(
                file,
                &expected,
                (request.points, request.targets),
                mask_fill,
                |meta| request.plan(meta),
            )?;
        }
    }
    Ok(())
}
