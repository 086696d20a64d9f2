//! Median times of what `peers/init.py` measures in torch, one `name seconds`
//! per line.
#![allow(missing_docs, clippy::print_stdout)]

use firecraft_init::{InitError, Initializer, Layout, Orthogonal, Target, VarianceScaling};
use firecraft_key::Key;
use std::time::Instant;

/// 50 M parameters.
const LARGE: [usize; 2] = [5000, 10_000];

const RUNS: u64 = 9;

/// Into memory that is there already, as torch's `init` functions work.
fn in_place(name: &str, init: &dyn Initializer, shape: &[usize]) -> Result<(), InitError> {
    let target = Target::new(shape, Layout::LINEAR);
    let mut values = init.values(&target, Key::from_seed(0))?;
    median(name, |run| {
        init.fill(&target, &mut values, Key::from_seed(run))
    })
}

/// Into new memory, given back at the end: what a plan costs a model.
fn fresh(name: &str, init: &dyn Initializer, shape: &[usize]) -> Result<(), InitError> {
    let target = Target::new(shape, Layout::LINEAR);
    median(name, |run| {
        init.values(&target, Key::from_seed(run))
            .map(|values| drop(std::hint::black_box(values)))
    })
}

fn median(name: &str, mut work: impl FnMut(u64) -> Result<(), InitError>) -> Result<(), InitError> {
    let mut times = Vec::new();
    for run in 0..RUNS {
        let start = Instant::now();
        work(run)?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    println!("{name} {:.6}", times[times.len() / 2]);
    Ok(())
}

fn main() -> Result<(), InitError> {
    let (normal, uniform) = (VarianceScaling::he_normal(), VarianceScaling::he_uniform());
    in_place("he_normal_50M", &normal, &LARGE)?;
    in_place("he_uniform_50M", &uniform, &LARGE)?;
    fresh("he_normal_50M_fresh", &normal, &LARGE)?;
    fresh("he_uniform_50M_fresh", &uniform, &LARGE)?;
    in_place("orthogonal_1024", &Orthogonal::default(), &[1024, 1024])
}
