//! Penalties and constraints on weights.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use firecraft::norm::Constraint;
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

/// Keras' constraints. `axis` names what a length is summed over, ours what it
/// is not: the weight becomes a matrix of one row per length.
pub(super) fn constraint(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let known = |names: &[&str]| {
        let strange = args.keys().iter().any(|key| !names.contains(key));
        if strange {
            Err(Outcome::Unsupported)
        } else {
            Ok(())
        }
    };
    let value = |name: &str, default: f64| args.get(name).or(default, Field::f64).map_err(failed);
    let rule = match case.name() {
        "MaxNorm" => {
            known(&["max_value", "axis"])?;
            Constraint::MaxNorm {
                max: value("max_value", 2.0)?,
            }
        }
        "UnitNorm" => {
            known(&["axis"])?;
            Constraint::UnitNorm
        }
        "NonNeg" => {
            known(&[])?;
            Constraint::NonNegative
        }
        "MinMaxNorm" => {
            known(&["min_value", "max_value", "rate", "axis"])?;
            Constraint::MinMaxNorm {
                min: value("min_value", 0.0)?,
                max: value("max_value", 1.0)?,
                rate: value("rate", 1.0)?,
            }
        }
        _ => return Err(Outcome::Unsupported),
    };
    let w = case.get("w").tensor()?;
    let summed = axes(&args.get("axis"), w.shape.len())?;
    let rows = rows(&w.shape, &summed);
    let length = rows.first().map_or(0, Vec::len);
    let values = w.f32s();
    let matrix: Vec<f32> = rows.iter().flatten().map(|&at| values[at]).collect();
    let data = TensorData::new(matrix, [rows.len(), length]);
    let moved = rule
        .constrain(Tensor::<2>::from_data(data, &Device::flex()), 0)
        .map_err(failed)?;
    let moved: Vec<f32> = moved.into_data().iter::<f32>().collect();
    let mut got = values;
    for (&at, value) in rows.iter().flatten().zip(moved) {
        got[at] = value;
    }
    let want = case.get("out").tensor()?.data;
    close_f32("out", &got, &want, Tolerance::TENSOR)
}

/// Keras' `axis`, one or several, counted from the end if negative.
fn axes(field: &Field<'_>, rank: usize) -> Result<Vec<usize>, Outcome> {
    let given = match field {
        absent if absent.is_null() => vec![0.0],
        one if one.json().is_number() => vec![one.f64()?],
        several => several.f64s()?,
    };
    let place = |axis: f64| {
        let axis = if axis < 0.0 { axis + rank as f64 } else { axis };
        (0..rank).find(|&i| i as f64 == axis)
    };
    let places = given.into_iter().map(place).collect::<Option<_>>();
    places.ok_or_else(|| failed("an axis that the weight does not have"))
}

/// The places of the values that share a length, one row per length.
fn rows(shape: &[usize], summed: &[usize]) -> Vec<Vec<usize>> {
    let mut rows: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for at in 0..shape.iter().product() {
        let mut rest: usize = at;
        let mut index = vec![0; shape.len()];
        for (axis, &side) in shape.iter().enumerate().rev() {
            index[axis] = rest % side;
            rest /= side;
        }
        for &axis in summed {
            index[axis] = 0;
        }
        rows.entry(index).or_default().push(at);
    }
    rows.into_values().collect()
}
