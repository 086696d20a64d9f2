//! Other colours: `hue`.

use super::fixed_step;
use crate::change::Change;
use crate::color::is_colour;
use crate::kernel::{Colours, Element, Tone, map_colours, turn_hue};
use crate::sample::each_type;
use crate::{Apply, AugmentError, Sample};
use serde::{Deserialize, Serialize};

/// Turns the hue of HSV by `shift` full turns: torchvision's `adjust_hue` and
/// `hue` of its colour jitter (which allow half a turn either way). Images of
/// one channel stay as they are.
///
/// ```
/// use firecraft_augment::{Hue, Image, Plan, Sample, Size};
/// let red = Image::from_f32(vec![0.75, 0.0, 0.0], Size::new(1, 1), 3)?;
/// let mut sample = Sample::new(red);
/// Plan::from(Hue::new(0.5)).apply(&mut sample)?;
/// assert_eq!(sample.image.as_f32(), Some(&[0.0, 0.75, 0.75][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hue {
    /// Full turns of the colour circle, inside `[-1, 1]`.
    pub shift: f32,
}

impl Hue {
    /// Turns the hue.
    #[must_use]
    pub const fn new(shift: f32) -> Self {
        Self { shift }
    }

    fn check(&self) -> Result<(), AugmentError> {
        if (-1.0..=1.0).contains(&self.shift) {
            Ok(())
        } else {
            let expected = "a number of turns in [-1, 1]";
            Err(AugmentError::parameter(
                "hue", "shift", self.shift, expected,
            ))
        }
    }

    /// The turn in sixths, from 0 on.
    fn sixths(&self) -> f32 {
        (f64::from(self.shift) * 6.0).rem_euclid(6.0) as f32
    }

    /// Bytes come back as torchvision converts them: 255.999 times, cut off. What
    /// is less than a thousandth below a whole number counts as that, so that
    /// nearest numbers do.
    fn line<T: Element>() -> [f32; 2] {
        if T::IS_INTEGER {
            [(T::MAX + 1.0 - 1e-3) / T::MAX, 1e-3 - 0.5]
        } else {
            [1.0, 0.0]
        }
    }

    fn run<T: Element>(&self, data: &mut [T], channels: usize) {
        let (sixths, line) = (self.sixths(), Self::line::<T>());
        map_colours(
            data,
            channels,
            #[inline(always)]
            move |colour| turn_hue(colour, sixths, line),
            T::from_f32,
        );
    }
}

impl Apply for Hue {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let channels = sample.image.channels();
        if is_colour("hue", &sample.image)? {
            each_type!(sample.image.values_mut(), data => self.run(data, channels));
        }
        Ok(())
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        let sixths = self.sixths();
        match channels {
            0 | 1 => Some(Change::Nothing),
            3 | 4 => Some(Change::Hue { sixths }),
            _ => None,
        }
    }

    fn tone(&self) -> Option<&dyn Tone> {
        Some(self)
    }
}

impl Tone for Hue {
    fn change(&self, colours: &mut Colours, _mean: [f32; 3]) {
        let (sixths, line) = (self.sixths(), Self::line::<u8>());
        colours.map(
            #[inline(always)]
            move |colour| turn_hue(colour, sixths, line),
        );
    }
}

fixed_step!(Hue, "hue");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Plan, Size, Transform};

    #[test]
    fn a_full_turn_changes_nothing() {
        let data = vec![0.1, 0.7, 0.3, 0.9, 0.2, 0.5];
        let mut sample = Sample::new(Image::from_f32(data.clone(), Size::new(1, 2), 3).unwrap());
        Plan::from(Hue::new(1.0)).apply(&mut sample).unwrap();
        for (a, b) in sample.image.as_f32().unwrap().iter().zip(&data) {
            assert!((a - b).abs() < 1e-5);
        }
        assert!(Hue::new(1.5).validate().is_err());
    }
}
