//! Throughput of the fills and of the orthogonal factor.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firecraft_init::fill::{self, Truncated};
use firecraft_init::{Initializer, Layout, Orthogonal, Target};
use firecraft_key::Key;
use std::hint::black_box;

fn fills(c: &mut Criterion) {
    let mut group = c.benchmark_group("fill");
    let key = Key::from_seed(1);
    let mut out = vec![0.0_f32; 1 << 22];
    group.throughput(Throughput::Elements(out.len() as u64));
    group.sample_size(20);
    group.bench_function("uniform", |b| {
        b.iter(|| fill::uniform(black_box(&mut out), -1.0, 1.0, key));
    });
    group.bench_function("normal", |b| {
        b.iter(|| fill::normal(black_box(&mut out), 0.0, 1.0, key));
    });
    if let Ok(two_sigma) = Truncated::new(0.0, 1.0, -2.0, 2.0) {
        group.bench_function("truncated_normal", |b| {
            b.iter(|| fill::truncated_normal(black_box(&mut out), &two_sigma, key));
        });
    }
    group.finish();
}

fn orthogonal(c: &mut Criterion) {
    let mut group = c.benchmark_group("orthogonal");
    group.sample_size(10);
    for n in [128, 512, 1024] {
        let target = Target::new(&[n, n], Layout::LINEAR);
        let mut out = vec![0.0; n * n];
        group.bench_with_input(BenchmarkId::from_parameter(n), &n, |b, _| {
            b.iter(|| Orthogonal::default().fill(&target, &mut out, Key::from_seed(1)));
        });
    }
    group.finish();
}

criterion_group!(benches, fills, orthogonal);
criterion_main!(benches);
