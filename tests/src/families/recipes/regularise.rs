//! Penalties and constraints on weights.

use burn::tensor::{Device, Tensor, TensorData};
use firecraft::trainer::PenaltyRule;

use crate::{
    compare::{Tolerance, close_f32},
    families::{Outcome, failed},
    golden::{Case, Field},
};

/// Keras' regularisers; the defaults are Keras' too.
pub(super) fn penalty(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let rules = match case.name() {
        "L1" => vec![PenaltyRule::Absolute {
            factor: number(&args, &["l1"], 0.01)?,
        }],
        "L2" => vec![PenaltyRule::Squared {
            factor: number(&args, &["l2"], 0.01)?,
        }],
        "L1L2" => vec![
            PenaltyRule::Absolute {
                factor: args.get("l1").or(0.0, Field::f64)?,
            },
            PenaltyRule::Squared {
                factor: args.get("l2").or(0.0, Field::f64)?,
            },
        ],
        "OrthogonalRegularizer" => {
            let rows = match args.get("mode").or("rows", Field::str)? {
                "rows" => true,
                "columns" => false,
                _ => return Err(Outcome::Unsupported),
            };
            vec![PenaltyRule::Orthogonal {
                factor: args.get("factor").or(0.01, Field::f64)?,
                rows,
            }]
        }
        _ => return Err(Outcome::Unsupported),
    };
    let w = case.get("w").tensor()?;
    let mut total = 0.0;
    for rule in rules {
        // The elementwise ones don't see the shape; the other wants a matrix.
        let shape = match w.shape.as_slice() {
            &[rows, columns] => [rows, columns],
            _ if matches!(rule, PenaltyRule::Orthogonal { .. }) => {
                return Err(Outcome::Unsupported);
            }
            shape => [1, shape.iter().product()],
        };
        let tensor = Tensor::<2>::from_data(TensorData::new(w.f32s(), shape), &Device::flex());
        let value = rule.of(tensor).ok_or(Outcome::Unsupported)?;
        total += value.into_scalar::<f32>();
    }
    let want = case.get("loss").tensor()?.data;
    close_f32("loss", &[total], &want, Tolerance::TENSOR)
}

fn number(args: &Field<'_>, names: &[&str], default: f64) -> Result<f64, Outcome> {
    if args.keys().iter().any(|key| !names.contains(key)) {
        return Err(Outcome::Unsupported);
    }
    args.get(names[0]).or(default, Field::f64).map_err(failed)
}
