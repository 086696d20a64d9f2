//! The checks of transforms.

use std::{io, thread};

use firecraft_augment::{Boxes, Image, Plan, Points, Sample, SampleMeta, Size, Step, Transform};
use firecraft_key::Key;
use firecraft_plugin::abi::{self, Bytes, ClassFlags, DType, Status, Targets, View};
use firecraft_spec::Spec;

use super::{Check, Done, Outcome, guarded::Guarded};
use crate::{Plugin, PluginTransform, instance::outcome};

pub(super) const CHECKS: [Check; 6] = [
    ("the same key gives the same plan", same_plans),
    // Before anything else is applied: on ordinary memory a stray write ends the
    // process later, in a place that tells nothing.
    ("memory is written as laid out", bounds),
    ("the same plan gives the same image", same_images),
    ("plans keep through JSON", plans_keep),
    ("threads agree", threads),
    ("instances come and go", instances),
];

const SIZES: [(usize, usize); 5] = [(1, 1), (3, 5), (16, 16), (33, 7), (224, 224)];
const KEYS: u64 = 20;

fn build(plugin: &Plugin, spec: &Spec) -> Result<PluginTransform, String> {
    let made = plugin.transform(spec).map_err(|error| {
        format!("{error}; give parameters that work in the schema's `examples`")
    })?;
    Ok(made)
}

/// Samples of every size and type, with every target that the class declares.
fn samples(plugin: &Plugin, spec: &Spec) -> Result<Vec<Sample>, String> {
    let class = plugin.class(&spec.type_name).map_err(|e| e.to_string())?;
    let has = |target| class.targets().contains(target);
    let mut samples = Vec::new();
    for (height, width) in SIZES {
        for channels in [1, 3] {
            for floats in [false, true] {
                let size = Size::new(height, width);
                let key = Key::from_seed(height as u64).fold(channels as u64);
                let bytes = (0..(size.area() * channels) as u64).map(|i| key.word(i) as u8);
                let image = if floats {
                    let floats = bytes.map(|byte| f32::from(byte) / 255.0).collect();
                    Image::from_f32(floats, size, channels)
                } else {
                    Image::from_u8(bytes.collect(), size, channels)
                };
                let mut sample = Sample::new(image.map_err(|e| e.to_string())?);
                let (w, h) = (width as f32, height as f32);
                if has(Targets::MASKS) {
                    let labels = (0..size.area()).map(|i| (i % 5) as u8).collect();
                    let mask = Image::from_u8(labels, size, 1).map_err(|e| e.to_string())?;
                    sample.masks = vec![mask; 2];
                }
                if has(Targets::BOXES) {
                    let rows = vec![[0.0, 0.0, w, h], [0.25 * w, 0.25 * h, 0.75 * w, 0.5 * h]];
                    sample.boxes = Some(Boxes::new(rows));
                }
                if has(Targets::POINTS) {
                    sample.points = Some(Points::new(vec![[0.0, 0.0], [w - 1.0, h - 1.0]]));
                }
                samples.push(sample);
            }
        }
    }
    Ok(samples)
}

fn plan(transform: &PluginTransform, meta: &SampleMeta, key: u64) -> Result<Plan, String> {
    let key = Key::from_seed(key).named("probe");
    transform.plan(meta, key).map_err(|error| error.to_string())
}

fn same_plans(plugin: &Plugin, spec: &Spec) -> Outcome {
    let (first, second) = (build(plugin, spec)?, build(plugin, spec)?);
    for sample in samples(plugin, spec)? {
        for key in 0..KEYS {
            let meta = sample.meta();
            let one = plan(&first, &meta, key)?;
            let again = plan(&first, &meta, key)?;
            let other = plan(&second, &meta, key)?;
            if one != again || one != other {
                return Err(format!(
                    "the plans of one key for an image of {} differ; draw from the key alone",
                    meta.size
                ));
            }
        }
    }
    Ok(Done::Passed)
}

fn same_images(plugin: &Plugin, spec: &Spec) -> Outcome {
    // The second's plans are applied by the first too: a plan says everything.
    let (first, second) = (build(plugin, spec)?, build(plugin, spec)?);
    for sample in samples(plugin, spec)? {
        for key in 0..3 {
            let (mut one, mut other) = (sample.clone(), sample.clone());
            for (transform, sample) in [(&first, &mut one), (&second, &mut other)] {
                let plan = plan(transform, &sample.meta(), key)?;
                plan.apply(sample).map_err(|error| error.to_string())?;
            }
            if one != other {
                return Err(format!(
                    "one plan gives two images of {}; apply what the plan says and nothing else",
                    sample.meta().size
                ));
            }
        }
    }
    Ok(Done::Passed)
}

fn plans_keep(plugin: &Plugin, spec: &Spec) -> Outcome {
    let transform = build(plugin, spec)?;
    let sample = samples(plugin, spec)?.remove(4);
    let planned = plan(&transform, &sample.meta(), 1)?;
    let json = serde_json::to_string(&planned).map_err(|error| error.to_string())?;
    let read: Plan = serde_json::from_str(&json).map_err(|error| error.to_string())?;
    if read == planned {
        Ok(Done::Passed)
    } else {
        Err("a plan that was written down and read is another one".to_owned())
    }
}

fn threads(plugin: &Plugin, spec: &Spec) -> Outcome {
    let class = plugin.class(&spec.type_name).map_err(|e| e.to_string())?;
    if !class.flags().contains(ClassFlags::THREAD_SHARED) {
        return Ok(Done::Skipped("not THREAD_SHARED".to_owned()));
    }
    let transform = build(plugin, spec)?;
    let samples = samples(plugin, spec)?;
    let work = || -> Result<Vec<(Plan, Sample)>, String> {
        let mut done = Vec::new();
        for round in 0..4 {
            for sample in samples.iter().take(16) {
                let mut sample = sample.clone();
                let plan = plan(&transform, &sample.meta(), round)?;
                plan.apply(&mut sample).map_err(|error| error.to_string())?;
                done.push((plan, sample));
            }
        }
        Ok(done)
    };
    let alone = work()?;
    let results: Vec<_> = thread::scope(|scope| {
        let handles: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    for result in results {
        let together = result.map_err(|_| "a thread panicked".to_owned())??;
        if together != alone {
            return Err("eight threads give other plans or images than one does".to_owned());
        }
    }
    Ok(Done::Passed)
}

fn instances(plugin: &Plugin, spec: &Spec) -> Outcome {
    for _ in 0..1000 {
        drop(build(plugin, spec)?);
    }
    Ok(Done::Passed)
}

/// Applies plans on arrays that end at closed pages: twice into destinations
/// of different content, which must come out alike, and once in place where the
/// class offers that.
fn bounds(plugin: &Plugin, spec: &Spec) -> Outcome {
    let transform = build(plugin, spec)?;
    let class = plugin.class(&spec.type_name).map_err(|e| e.to_string())?;
    let in_place = class.flags().contains(ClassFlags::IN_PLACE);
    for sample in samples(plugin, spec)? {
        for key in 0..3 {
            let planned = plan(&transform, &sample.meta(), key)?;
            let [Step::Opaque(step)] = &planned.steps[..] else {
                return Err("a plan of another form".to_owned());
            };
            let size = step.size();
            let call = |place: &mut Arrays, shared: bool, fill: u8| -> Result<Laid, String> {
                place.apply(&transform, step.plan(), size, shared, fill)
            };
            let arrays = || Arrays::new(&sample).map_err(|error| error.to_string());
            let (mut first, mut second) = (arrays()?, arrays()?);
            let dark = call(&mut first, false, 0)?;
            let bright = call(&mut second, false, 0xFF)?;
            let at = format!("for an image of {} and key {key}", sample.meta().size);
            if dark != bright {
                return Err(format!(
                    "`apply` leaves part of its destination unwritten, {at}"
                ));
            }
            if in_place && size == sample.image.size() {
                let shared = call(&mut arrays()?, true, 0)?;
                if shared.image != dark.image || shared.masks != dark.masks {
                    return Err(format!("in place, `apply` gives another image, {at}"));
                }
            }
        }
    }
    Ok(Done::Passed)
}

/// A sample in guarded memory.
struct Arrays {
    image: Guarded,
    before: Vec<u8>,
    dtype: DType,
    size: Size,
    channels: usize,
    masks: Vec<Guarded>,
    boxes: Option<Guarded>,
    points: Option<Guarded>,
}

/// What a call left.
#[derive(PartialEq)]
struct Laid {
    image: Vec<u8>,
    masks: Vec<Vec<u8>>,
    boxes: Vec<u8>,
    points: Vec<u8>,
}

impl Arrays {
    fn new(sample: &Sample) -> io::Result<Self> {
        let bytes = |floats: &[f32]| -> Vec<u8> {
            floats
                .iter()
                .flat_map(|value| value.to_ne_bytes())
                .collect()
        };
        let (before, dtype) = match (sample.image.as_u8(), sample.image.as_f32()) {
            (Some(image), _) => (image.to_vec(), DType::U8),
            (None, floats) => (bytes(floats.unwrap_or_default()), DType::F32),
        };
        let rows = |rows: Option<&[f32]>| rows.map(|rows| Guarded::of(&bytes(rows))).transpose();
        Ok(Self {
            image: Guarded::of(&before)?,
            before,
            dtype,
            size: sample.image.size(),
            channels: sample.image.channels(),
            masks: sample
                .masks
                .iter()
                .map(|mask| Guarded::of(mask.as_u8().unwrap_or_default()))
                .collect::<io::Result<_>>()?,
            boxes: rows(sample.boxes.as_ref().map(|boxes| boxes.rows.as_flattened()))?,
            points: rows(
                sample
                    .points
                    .as_ref()
                    .map(|points| points.rows.as_flattened()),
            )?,
        })
    }

    fn apply(
        &mut self,
        transform: &PluginTransform,
        plan: &[u8],
        size: Size,
        shared: bool,
        fill: u8,
    ) -> Result<Laid, String> {
        let room = |len: usize| -> Result<Guarded, String> {
            let mut room = Guarded::new(len).map_err(|error| error.to_string())?;
            room.bytes_mut().fill(fill);
            Ok(room)
        };
        let plan = Guarded::of(plan).map_err(|error| error.to_string())?;
        let element = usize::from(self.dtype.bits / 8);
        let image = room(size.area() * self.channels * element)?;
        let masks: Vec<Guarded> = self
            .masks
            .iter()
            .map(|_| room(size.area()))
            .collect::<Result<_, _>>()?;
        let same =
            |rows: &Option<Guarded>| rows.as_ref().map(|r| room(r.bytes().len())).transpose();
        let (boxes, points) = (same(&self.boxes)?, same(&self.points)?);
        let count =
            |rows: &Option<Guarded>, row: usize| rows.as_ref().map_or(0, |r| r.bytes().len() / row);
        let (box_count, point_count) = (count(&self.boxes, 16), count(&self.points, 8));
        let (box_src, point_src) = (room(box_count * 4)?, room(point_count * 4)?);

        let picture = |at: &Guarded, size: Size| {
            let shape = [size.height, size.width, self.channels];
            View::row_major(at.as_ptr().cast(), self.dtype, shape)
        };
        let labels = |at: &Guarded, size: Size| {
            View::row_major(at.as_ptr().cast(), DType::U8, [size.height, size.width])
        };
        let table = |rows: &Option<Guarded>, width: usize| match rows {
            Some(rows) => {
                let shape = [rows.bytes().len() / (4 * width), width];
                View::row_major(rows.as_ptr().cast(), DType::F32, shape)
            }
            None => View::NONE,
        };
        let mut source_masks: Vec<View> = self.masks.iter().map(|m| labels(m, self.size)).collect();
        let mut target_masks: Vec<View> = masks.iter().map(|m| labels(m, size)).collect();
        let source = abi::Sample {
            image: picture(&self.image, self.size),
            masks: source_masks.as_mut_ptr(),
            mask_count: source_masks.len(),
            boxes: table(&self.boxes, 4),
            points: table(&self.points, 2),
            box_src: std::ptr::null_mut(),
            point_src: std::ptr::null_mut(),
            box_count,
            point_count,
        };
        let mut target = abi::Sample {
            boxes: table(&boxes, 4),
            points: table(&points, 2),
            box_src: box_src.as_ptr().cast(),
            point_src: point_src.as_ptr().cast(),
            box_count: 0,
            point_count: 0,
            ..source
        };
        if !shared {
            target.image = picture(&image, size);
            target.masks = target_masks.as_mut_ptr();
        }
        let lent = Bytes::of(plan.bytes());
        // SAFETY: arrays as their views say, for as long as the call; the
        // destination is apart from the source, unless the class is IN_PLACE.
        unsafe { transform.apply_raw(&lent, &source, &mut target) }?;

        let kept = [&self.image, &plan]
            .into_iter()
            .chain(&self.masks)
            .chain(&self.boxes)
            .chain(&self.points)
            .chain([&image, &box_src, &point_src])
            .chain(&masks)
            .chain(&boxes)
            .chain(&points);
        if !kept.into_iter().all(Guarded::is_whole) {
            return Err("`apply` wrote before the start of an array".to_owned());
        }
        if !shared && self.image.bytes() != self.before {
            return Err("`apply` changed its source".to_owned());
        }
        if target.box_count > box_count || target.point_count > point_count {
            return Err("`apply` reports more rows than there were".to_owned());
        }
        let used = |rows: &Option<Guarded>, bytes: usize| {
            rows.as_ref()
                .map_or(Vec::new(), |r| r.bytes()[..bytes].to_vec())
        };
        let (image, masks) = if shared {
            (&self.image, &self.masks)
        } else {
            (&image, &masks)
        };
        Ok(Laid {
            image: image.bytes().to_vec(),
            masks: masks.iter().map(|mask| mask.bytes().to_vec()).collect(),
            boxes: used(&boxes, target.box_count * 16),
            points: used(&points, target.point_count * 8),
        })
    }
}

impl PluginTransform {
    /// Calls `apply` with arrays of the caller's own.
    ///
    /// # Safety
    /// As the ABI has it for one sample.
    unsafe fn apply_raw(
        &self,
        plan: &Bytes,
        source: &abi::Sample,
        target: &mut abi::Sample,
    ) -> Result<(), String> {
        let Some(apply) = self.table().apply else {
            return Err("its function `apply` is NULL".to_owned());
        };
        self.instance()
            .call("apply", |instance, error| -> Status {
                // SAFETY: the caller vouches for it.
                unsafe { apply(instance, 1, plan, source, target, error.as_ptr()) }
            })
            .map_err(|error| error.to_string())
    }
}

impl Plugin {
    /// Makes an instance from any text at all and ends it.
    pub(super) fn try_create(&self, class: &str, params: &str) -> Result<(), crate::PluginError> {
        let class = self.class(class)?;
        let mut raw = std::ptr::null_mut();
        let text = Guarded::of(params.as_bytes()).map_err(|source| crate::PluginError::Class {
            name: class.name().to_owned(),
            problem: source.to_string(),
        })?;
        let params = abi::Str {
            ptr: text.as_ptr(),
            len: params.len(),
        };
        outcome(class.name(), "create", |error| {
            // SAFETY: text and place live as long as the call.
            unsafe { (class.create)(params, &mut raw, error.as_ptr()) }
        })?;
        if !raw.is_null() {
            // SAFETY: just made, and not used again.
            unsafe { (class.destroy)(raw) };
        }
        Ok(())
    }
}
