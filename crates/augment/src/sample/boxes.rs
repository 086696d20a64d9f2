//! Boxes around objects.

use crate::geometry::sin_cos;
use crate::{AugmentError, Size};
use serde::{Deserialize, Serialize};

/// How four numbers describe a box. Pixels are measured from the corner of
/// the image: a box around the top left pixel is `[0, 0, 1, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxFormat {
    /// Left, top, right, bottom in pixels (Pascal VOC, torchvision's XYXY).
    Xyxy,
    /// Left, top, width, height in pixels (COCO, torchvision's XYWH).
    Xywh,
    /// Centre, width, height in pixels (torchvision's CXCYWH).
    Cxcywh,
    /// Left, top, right, bottom as fractions of the image (albumentations).
    Relative,
    /// Centre, width, height as fractions of the image (YOLO).
    Yolo,
}

/// What happens to a box that reaches outside the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxPolicy {
    /// It is cut at the edge.
    #[default]
    Clip,
    /// It is dropped if any part of it is outside.
    Drop,
    /// The transform fails.
    Error,
}

/// Which boxes survive a geometric step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BoxRules {
    /// What happens at the edge of the image.
    pub policy: BoxPolicy,
    /// Boxes are dropped unless their area is larger than this, in pixels.
    pub min_area: f32,
    /// Boxes are dropped if less than this fraction of their area is left
    /// inside, in `0..=1`.
    pub min_visibility: f32,
    /// Boxes without area stay, as in torchvision; `min_area` is then not
    /// used.
    pub keep_empty: bool,
    /// The box around the moved ellipse inside a box instead of the one
    /// around its moved corners, for round objects: boxes grow less when they
    /// turn. albumentations' `ellipse`.
    pub ellipse: bool,
}

/// Boxes `[left, top, right, bottom]` in pixels from the corner of the image.
///
/// A geometric step maps the four corners and takes the box around them, so
/// boxes grow when they turn. Chains are mapped as one, which keeps them
/// tighter than mapping step by step would.
///
/// ```
/// use firecraft_augment::{BoxFormat, Boxes, Size};
/// let boxes = Boxes::from_format(&[[0.5, 0.5, 0.2, 0.4]], BoxFormat::Yolo, Size::new(10, 20));
/// assert_eq!(boxes.rows, [[8.0, 3.0, 12.0, 7.0]]);
/// let coco = boxes.to_format(BoxFormat::Xywh, Size::new(10, 20));
/// assert_eq!(coco, [[8.0, 3.0, 4.0, 4.0]]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Boxes {
    /// One row per box that is left.
    pub rows: Vec<[f32; 4]>,
    /// For each row, the row it was at the start: labels are kept outside and
    /// picked with it.
    pub source: Vec<usize>,
    /// Which boxes survive.
    pub rules: BoxRules,
}

impl Boxes {
    /// Boxes under the default rules: clipped, and dropped when nothing is
    /// left.
    #[must_use]
    pub fn new(rows: Vec<[f32; 4]>) -> Self {
        Self {
            source: (0..rows.len()).collect(),
            rows,
            rules: BoxRules::default(),
        }
    }

    /// Sets which boxes survive.
    #[must_use]
    pub const fn with_rules(mut self, rules: BoxRules) -> Self {
        self.rules = rules;
        self
    }

    /// Boxes given in another format, for an image of that size.
    #[must_use]
    pub fn from_format(rows: &[[f32; 4]], format: BoxFormat, size: Size) -> Self {
        let (width, height) = (size.width as f32, size.height as f32);
        let centred = |[x, y, w, h]: [f32; 4]| [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0];
        let scaled = |[a, b, c, d]: [f32; 4]| [a * width, b * height, c * width, d * height];
        let convert = |row: [f32; 4]| match format {
            BoxFormat::Xyxy => row,
            BoxFormat::Xywh => [row[0], row[1], row[0] + row[2], row[1] + row[3]],
            BoxFormat::Cxcywh => centred(row),
            BoxFormat::Relative => scaled(row),
            BoxFormat::Yolo => centred(scaled(row)),
        };
        Self::new(rows.iter().copied().map(convert).collect())
    }

    /// The rows in another format, for an image of that size.
    #[must_use]
    pub fn to_format(&self, format: BoxFormat, size: Size) -> Vec<[f32; 4]> {
        let (width, height) = (size.width as f32, size.height as f32);
        let centred = |[l, t, r, b]: [f32; 4]| [(l + r) / 2.0, (t + b) / 2.0, r - l, b - t];
        let scaled = |[a, b, c, d]: [f32; 4]| [a / width, b / height, c / width, d / height];
        let convert = |row: [f32; 4]| match format {
            BoxFormat::Xyxy => row,
            BoxFormat::Xywh => [row[0], row[1], row[2] - row[0], row[3] - row[1]],
            BoxFormat::Cxcywh => centred(row),
            BoxFormat::Relative => scaled(row),
            BoxFormat::Yolo => centred(scaled(row)),
        };
        self.rows.iter().copied().map(convert).collect()
    }

    /// Keeps the rows for which `keep` says so.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut([f32; 4]) -> bool) {
        let kept: Vec<bool> = self.rows.iter().map(|row| keep(*row)).collect();
        let mut at = kept.iter();
        self.rows.retain(|_| at.next() == Some(&true));
        let mut at = kept.iter();
        self.source.retain(|_| at.next() == Some(&true));
    }

    /// Maps the boxes by a map of pixel-centre coordinates, then applies the
    /// rules for an image of size `size`.
    pub(super) fn map(
        &mut self,
        size: Size,
        map: &impl Fn(f64, f64) -> (f64, f64),
    ) -> Result<(), AugmentError> {
        let (mut rows, mut source) = (Vec::new(), Vec::new());
        for (&row, &from) in self.rows.iter().zip(&self.source) {
            let moved = around(&outline(row, self.rules.ellipse), map);
            if let Some(row) = self.rules.judge(moved, size)? {
                rows.push(row.map(|v| v as f32));
                source.push(from);
            }
        }
        self.rows = rows;
        self.source = source;
        Ok(())
    }
}

impl Boxes {
    /// Puts the rows that a step outside this crate made in place of these,
    /// then applies the rules for an image of size `size`. Row `i` was row
    /// `from[i]` of these.
    ///
    /// # Errors
    /// If there isn't one origin per row, an origin is no row, a row is no box,
    /// or by the rules.
    pub fn replace(
        &mut self,
        rows: &[[f32; 4]],
        from: &[usize],
        size: Size,
    ) -> Result<(), AugmentError> {
        let source = origins(&self.source, rows.len(), from)?;
        let (mut kept, mut kept_source) = (Vec::new(), Vec::new());
        for (row, source) in rows.iter().zip(source) {
            let [left, top, right, bottom] = row.map(f64::from);
            if !(left <= right && top <= bottom && row.iter().all(|v| v.is_finite())) {
                return Err(AugmentError::Image {
                    operation: "boxes",
                    got: format!("the box {row:?}"),
                    expected: "finite numbers, left before right and top before bottom".into(),
                });
            }
            if let Some(row) = self.rules.judge([left, top, right, bottom], size)? {
                kept.push(row.map(|v| v as f32));
                kept_source.push(source);
            }
        }
        self.rows = kept;
        self.source = kept_source;
        Ok(())
    }
}

/// For each of `count` rows the row it was at the start.
pub(super) fn origins(
    source: &[usize],
    count: usize,
    from: &[usize],
) -> Result<Vec<usize>, AugmentError> {
    if from.len() != count {
        return Err(AugmentError::Length {
            operation: "origins of rows",
            got: from.len(),
            expected: count,
        });
    }
    let origin = |&row: &usize| {
        source.get(row).copied().ok_or_else(|| AugmentError::Image {
            operation: "origins of rows",
            got: format!("row {row}"),
            expected: format!("one of the {} rows before", source.len()),
        })
    };
    from.iter().map(origin).collect()
}

/// The corners of a box, or points on the ellipse in it.
fn outline(row: [f32; 4], ellipse: bool) -> Vec<(f64, f64)> {
    const POINTS: usize = 360;
    let [left, top, right, bottom] = row.map(f64::from);
    if !ellipse {
        return vec![(left, top), (right, top), (left, bottom), (right, bottom)];
    }
    let (rx, ry) = ((right - left) / 2.0, (bottom - top) / 2.0);
    (0..POINTS)
        .map(|i| {
            let (sin, cos) = sin_cos(i as f64 / POINTS as f64);
            (left + rx + rx * sin, top + ry + ry * cos)
        })
        .collect()
}

/// The box around the images of points.
fn around(points: &[(f64, f64)], map: &impl Fn(f64, f64) -> (f64, f64)) -> [f64; 4] {
    let nothing = [
        f64::INFINITY,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NEG_INFINITY,
    ];
    points.iter().fold(nothing, |[l, t, r, b], (x, y)| {
        let (x, y) = map(x - 0.5, y - 0.5);
        let (x, y) = (x + 0.5, y + 0.5);
        [l.min(x), t.min(y), r.max(x), b.max(y)]
    })
}

impl BoxRules {
    fn judge(&self, row: [f64; 4], size: Size) -> Result<Option<[f64; 4]>, AugmentError> {
        let (width, height) = (size.width as f64, size.height as f64);
        let clipped = [
            row[0].clamp(0.0, width),
            row[1].clamp(0.0, height),
            row[2].clamp(0.0, width),
            row[3].clamp(0.0, height),
        ];
        // What rounding moves across the edge is not outside.
        let outside = row.iter().zip(clipped).any(|(a, b)| (a - b).abs() > 1e-3);
        match self.policy {
            BoxPolicy::Error if outside => {
                return Err(AugmentError::Image {
                    operation: "boxes",
                    got: format!("the box {:?}", row.map(|v| v as f32)),
                    expected: format!("boxes inside {size}; use the policy `clip` or `drop`"),
                });
            }
            BoxPolicy::Drop if outside => return Ok(None),
            _ => {}
        }
        let area = |[l, t, r, b]: [f64; 4]| (r - l) * (b - t);
        let left = area(clipped);
        let large = left > f64::from(self.min_area) || self.keep_empty;
        let visible = left >= f64::from(self.min_visibility) * area(row);
        Ok((large && visible).then_some(clipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(10, 20);

    fn after(rules: BoxRules, dx: f64) -> Result<Boxes, AugmentError> {
        let mut boxes = Boxes::new(vec![[0.0, 0.0, 4.0, 5.0], [10.0, 5.0, 20.0, 10.0]]);
        boxes.rules = rules;
        boxes.map(SIZE, &|x, y| (x + dx, y))?;
        Ok(boxes)
    }

    #[test]
    fn rows_from_outside_are_checked_and_keep_their_origin() {
        let size = Size::new(10, 10);
        let mut boxes = Boxes::new(vec![[0.0, 0.0, 1.0, 1.0]; 3]);
        boxes.source = vec![4, 7, 9];
        let rows = [[1.0, 1.0, 30.0, 2.0], [20.0, 20.0, 30.0, 30.0]];
        boxes.replace(&rows, &[2, 0], size).unwrap();
        assert_eq!(boxes.rows, [[1.0, 1.0, 10.0, 2.0]]);
        assert_eq!(boxes.source, [9]);
        let refused =
            |row: [f32; 4], from: &[usize]| boxes.clone().replace(&[row], from, size).is_err();
        assert!(refused([3.0, 0.0, 2.0, 1.0], &[0]));
        assert!(refused([f32::NAN, 0.0, 2.0, 1.0], &[0]));
        assert!(refused([0.0, 0.0, 2.0, 1.0], &[1]));
        assert!(refused([0.0, 0.0, 2.0, 1.0], &[]));
        assert!(!refused([0.0, 0.0, 2.0, 1.0], &[0]));
    }

    #[test]
    fn policies_at_the_edge() {
        let policy = |policy| BoxRules {
            policy,
            ..BoxRules::default()
        };
        let clipped = after(policy(BoxPolicy::Clip), 8.0).unwrap();
        assert_eq!(
            clipped.rows,
            [[8.0, 0.0, 12.0, 5.0], [18.0, 5.0, 20.0, 10.0]]
        );
        let dropped = after(policy(BoxPolicy::Drop), 8.0).unwrap();
        assert_eq!((dropped.rows.len(), dropped.source), (1, vec![0]));
        let error = after(policy(BoxPolicy::Error), 8.0).unwrap_err();
        assert!(
            error.to_string().contains("[18.0, 5.0, 28.0, 10.0]"),
            "{error}"
        );
        assert!(after(policy(BoxPolicy::Error), 0.0).is_ok());
    }

    #[test]
    fn an_ellipse_grows_less_than_a_box_when_it_turns() {
        let turned = |ellipse| {
            let mut boxes = Boxes::new(vec![[3.0, 8.0, 7.0, 12.0]]);
            boxes.rules.ellipse = ellipse;
            // About the centre of the box, by an eighth of a turn.
            let (x, y, s) = (4.5, 9.5, 0.5_f64.sqrt());
            let turn = |px: f64, py: f64| {
                let (dx, dy) = (px - x, py - y);
                (x + s * (dx - dy), y + s * (dx + dy))
            };
            boxes.map(SIZE, &turn).unwrap();
            boxes.rows[0][2] - boxes.rows[0][0]
        };
        assert!((turned(false) - 32.0_f32.sqrt()).abs() < 1e-4);
        assert!((turned(true) - 4.0).abs() < 1e-3);
    }

    #[test]
    fn boxes_that_are_gone_or_hardly_visible_are_dropped() {
        let all = BoxRules::default();
        assert_eq!(after(all, -4.0).unwrap().source, [1]);
        assert_eq!(
            after(
                BoxRules {
                    keep_empty: true,
                    ..all
                },
                -4.0
            )
            .unwrap()
            .rows
            .len(),
            2
        );
        assert_eq!(
            after(
                BoxRules {
                    min_visibility: 0.3,
                    ..all
                },
                8.0
            )
            .unwrap()
            .source,
            [0]
        );
        assert_eq!(
            after(
                BoxRules {
                    min_area: 9.0,
                    ..all
                },
                8.0
            )
            .unwrap()
            .source,
            [0, 1]
        );
        assert_eq!(
            after(
                BoxRules {
                    min_area: 10.0,
                    ..all
                },
                8.0
            )
            .unwrap()
            .source,
            [0]
        );
    }

    proptest! {
        #[test]
        fn formats_convert_back(
            l in 0.0..9.0_f32, t in 0.0..9.0_f32, w in 0.1..9.0_f32, h in 0.1..9.0_f32,
        ) {
            let boxes = Boxes::new(vec![[l, t, l + w, t + h]]);
            for format in [
                BoxFormat::Xyxy, BoxFormat::Xywh, BoxFormat::Cxcywh, BoxFormat::Relative,
                BoxFormat::Yolo,
            ] {
                let again = Boxes::from_format(&boxes.to_format(format, SIZE), format, SIZE);
                for (a, b) in again.rows[0].iter().zip(boxes.rows[0]) {
                    prop_assert!((a - b).abs() < 1e-4, "{format:?}: {a} {b}");
                }
            }
        }
    }
}
