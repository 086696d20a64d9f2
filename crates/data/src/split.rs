//! Parts of a data set with the same share of every class.

use crate::DataError;
use firecraft_key::Key;

/// Splits the samples with `labels` into parts of the given `fractions`, each
/// with the same share of every class; returns the indices of each part in
/// ascending order.
///
/// Every sample is in exactly one part. In each class a part has its fraction,
/// rounded down or up; the roundings are chosen so that the sizes of the parts
/// come out right in total. Which samples go where depends on `key` and labels
/// alone.
///
/// # Errors
/// [`DataError::Config`] unless the fractions are at least 0 and sum to 1
/// (within 1e-9).
///
/// ```
/// use firecraft_data::stratified_split;
/// use firecraft_key::Key;
/// let labels = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1];
/// let parts = stratified_split(&labels, &[0.8, 0.2], Key::from_seed(1))?;
/// assert_eq!((parts[0].len(), parts[1].len()), (8, 2));
/// assert_eq!(parts[1].iter().map(|&i| labels[i]).sum::<u32>(), 1);
/// # Ok::<(), firecraft_data::DataError>(())
/// ```
pub fn stratified_split(
    labels: &[u32],
    fractions: &[f64],
    key: Key,
) -> Result<Vec<Vec<usize>>, DataError> {
    let sum: f64 = fractions.iter().sum();
    if fractions.iter().any(|f| !(-1e-9..=1.0 + 1e-9).contains(f)) || (sum - 1.0).abs() > 1e-9 {
        let expected = "fractions from 0 to 1 that sum to 1";
        return Err(DataError::config(
            "split fractions",
            format!("{fractions:?}"),
            expected,
        ));
    }
    let mut classes = std::collections::BTreeMap::<u32, Vec<usize>>::new();
    for (index, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(index);
    }
    let mut parts = vec![Vec::new(); fractions.len()];
    // How much each part is behind its exact share, over all classes so far.
    let mut deficits = vec![0.0; fractions.len()];
    for (label, mut members) in classes {
        key.named("split")
            .fold(u64::from(label))
            .rng()
            .shuffle(&mut members);
        let counts = share(members.len(), fractions, &mut deficits);
        let mut rest = members.as_slice();
        for (part, count) in parts.iter_mut().zip(counts) {
            let (mine, others) = rest.split_at(count);
            part.extend_from_slice(mine);
            rest = others;
        }
    }
    for part in &mut parts {
        part.sort_unstable();
    }
    Ok(parts)
}

/// Divides `total` by `fractions`: each share rounded down, and the units that
/// remain to the parts that are most behind, one each.
fn share(total: usize, fractions: &[f64], deficits: &mut [f64]) -> Vec<usize> {
    let exact = |fraction: &f64| (total as f64 * fraction).max(0.0);
    // 0.7 * 10 must count as 7, not as 6.999….
    let mut counts: Vec<usize> = fractions
        .iter()
        .map(|f| ((exact(f) + 1e-6).floor() as usize).min(total))
        .collect();
    for ((deficit, fraction), count) in deficits.iter_mut().zip(fractions).zip(&counts) {
        *deficit += exact(fraction) - *count as f64;
    }
    let mut order: Vec<usize> = (0..fractions.len())
        .filter(|&part| fractions[part] > 1e-9)
        .collect();
    order.sort_by(|&a, &b| deficits[b].total_cmp(&deficits[a]).then(a.cmp(&b)));
    let left = total.saturating_sub(counts.iter().sum());
    for &part in order.iter().cycle().take(left) {
        counts[part] += 1;
        deficits[part] -= 1.0;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fractions_that_make_no_sense_are_refused() {
        for fractions in [&[0.5, 0.4][..], &[1.5, -0.5], &[f64::NAN, 1.0], &[]] {
            assert!(
                stratified_split(&[0, 1], fractions, Key::from_seed(0)).is_err(),
                "{fractions:?}"
            );
        }
    }

    #[test]
    fn another_key_gives_another_split() {
        let labels = vec![0; 100];
        let split = |seed| stratified_split(&labels, &[0.5, 0.5], Key::from_seed(seed)).unwrap();
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_complete_and_stratified(
            labels in proptest::collection::vec(0_u32..7, 0..300),
            weights in proptest::collection::vec(0_u32..10, 1..5),
            seed: u64,
        ) {
            let total: u32 = weights.iter().sum();
            prop_assume!(total > 0);
            let fractions: Vec<f64> = weights.iter().map(|&w| f64::from(w) / f64::from(total)).collect();
            let parts = stratified_split(&labels, &fractions, Key::from_seed(seed)).unwrap();
            let mut all = parts.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            for (part, fraction) in parts.iter().zip(&fractions) {
                prop_assert!(part.is_sorted());
                prop_assert!((part.len() as f64 - labels.len() as f64 * fraction).abs() < 2.0 + 1e-6);
                for class in 0..7 {
                    let count = |indices: &[usize]| indices.iter().filter(|&&i| labels[i] == class).count() as f64;
                    let exact = labels.iter().filter(|&&l| l == class).count() as f64 * fraction;
                    prop_assert!((count(part) - exact).abs() < 1.0 + 1e-6);
                }
            }
        }
    }
}
