//! Suggestions for mistyped names.

/// The names among `known` that `name` was probably meant to be, best first,
/// at most three. Case, `-` and `_` don't count; besides that one slip per
/// three letters is forgiven (insertion, deletion, substitution or swap of
/// neighbours).
///
/// ```
/// use firecraft_spec::nearest;
/// let known = ["cosine", "constant", "one_cycle"];
/// assert_eq!(nearest("cosien", known), ["cosine"]);
/// assert_eq!(nearest("OneCycle", known), ["one_cycle"]);
/// assert!(nearest("plateau", known).is_empty());
/// ```
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let folded = fold(name);
    let limit = (folded.len() / 3).max(1);
    let mut scored: Vec<(usize, &str)> = known
        .into_iter()
        .map(|candidate| (distance(&folded, &fold(candidate)), candidate))
        .filter(|&(score, _)| score <= limit)
        .collect();
    scored.sort();
    scored
        .into_iter()
        .take(3)
        .map(|(_, name)| name.to_owned())
        .collect()
}

fn fold(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .take(64)
        .collect()
}

/// Optimal string alignment distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut table = vec![0; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i * width + j] = if i == 0 || j == 0 {
                i + j
            } else {
                let same = usize::from(a[i - 1] != b[j - 1]);
                let mut best = (table[(i - 1) * width + j] + 1)
                    .min(table[i * width + j - 1] + 1)
                    .min(table[(i - 1) * width + j - 1] + same);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(table[(i - 2) * width + j - 2] + 1);
                }
                best
            };
        }
    }
    table[a.len() * width + b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_match_comes_first() {
        assert_eq!(
            nearest("step_s", ["multi_step", "steps", "step"]),
            ["steps", "step"]
        );
    }

    #[test]
    fn long_names_are_cut_and_not_slow() {
        assert!(nearest(&"x".repeat(1 << 20), ["cosine"]).is_empty());
    }
}
