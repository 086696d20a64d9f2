//! Gamma and Beta draws as fixed sequences of operations.

use firecraft_key::Rng;

fn ln(x: f64) -> f64 {
    f64::from(firecraft_key::convert::ln(x.max(1e-30) as f32))
}

/// A draw of the Gamma distribution with that shape and scale 1: Marsaglia and
/// Tsang, *A Simple Method for Generating Gamma Variables* (2000).
pub(crate) fn gamma(shape: f64, rng: &mut Rng) -> f64 {
    if shape < 1.0 {
        // A draw for shape + 1 times U^(1 / shape).
        let power = ln(1.0 - rng.uniform_f64()) / shape;
        return gamma(shape + 1.0, rng) * crate::ops::exp(power.max(-700.0));
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = f64::from(rng.normal());
        let v = (1.0 + c * x) * (1.0 + c * x) * (1.0 + c * x);
        let u = 1.0 - rng.uniform_f64();
        if v > 0.0 && ln(u) < 0.5 * x * x + d - d * v + d * ln(v) {
            return d * v;
        }
    }
}

/// Parts of 1, all equally likely to be large; small shapes make them
/// unequal.
pub(crate) fn dirichlet<const N: usize>(shape: f64, rng: &mut Rng) -> [f64; N] {
    let parts = [(); N].map(|()| gamma(shape, rng));
    let sum: f64 = parts.iter().sum();
    if sum > 0.0 {
        parts.map(|part| part / sum)
    } else {
        // Both underflowed: one of them is all, as in the limit.
        let all = rng.below(N as u64) as usize;
        std::array::from_fn(|i| f64::from(i == all))
    }
}

/// A draw of the Beta distribution with two equal parameters.
pub(super) fn beta(shape: f64, rng: &mut Rng) -> f64 {
    let [part, _] = dirichlet(shape, rng);
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use firecraft_key::Key;

    #[test]
    fn beta_has_its_mean_and_variance() {
        for shape in [0.1, 0.4, 1.0, 3.0, 20.0] {
            let n = 20_000;
            let mut rng = Key::from_seed(7).rng();
            let draws: Vec<f64> = (0..n).map(|_| beta(shape, &mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / f64::from(n);
            let variance = draws.iter().map(|x| (x - 0.5).powi(2)).sum::<f64>() / f64::from(n);
            let expected = 1.0 / (4.0 * (2.0 * shape + 1.0));
            assert!((mean - 0.5).abs() < 0.015, "{shape}: {mean}");
            assert!(
                (variance / expected - 1.0).abs() < 0.05,
                "{shape}: {variance}"
            );
        }
    }

    #[test]
    fn tiny_shapes_give_one_or_the_other() {
        let mut rng = Key::from_seed(1).rng();
        for _ in 0..50 {
            let [a, b] = dirichlet(1e-3, &mut rng);
            assert!((a + b - 1.0).abs() < 1e-12 && a.min(b) < 0.45);
        }
    }
}
