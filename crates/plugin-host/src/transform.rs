//! A transform of a plugin as a transform of firecraft.

use std::sync::Arc;

use firecraft_augment::{
    AugmentError, External, Image, Opaque, Plan, Sample, SampleMeta, Size, Transform, Values,
};
use firecraft_key::Key;
use firecraft_plugin::abi::{self, Bytes, ClassFlags, Shape, Targets, TransformTable, View};
use firecraft_spec::{Spec, SpecError};

use crate::{
    ClassInfo, PluginError,
    class::Functions,
    instance::Instance,
    output::{Output, dtype, not_finite},
    sink::Collector,
};

/// The largest plan that is taken from a plugin, in bytes.
const PLAN_LIMIT: usize = 1 << 20;
/// The largest image that a plan may announce, in pixels.
const AREA_LIMIT: u64 = 1 << 28;

/// A transform that a plugin implements.
///
/// Its plans are [`Opaque`] steps, across which nothing fuses. What comes back
/// from the plugin is checked: status, sizes, that numbers are finite, that
/// boxes are boxes and no more than there were.
#[derive(Debug, Clone)]
pub struct PluginTransform {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    instance: Instance,
    table: TransformTable,
    spec: Spec,
    checked: bool,
}

impl PluginTransform {
    /// Makes one from parameters, a JSON object; `spec` is what they came from.
    ///
    /// # Errors
    /// If the class is no transform, or refuses the parameters.
    pub(crate) fn new(
        class: Arc<ClassInfo>,
        params: &str,
        spec: Spec,
        checked: bool,
    ) -> Result<Self, PluginError> {
        let Functions::Transform(table) = class.functions else {
            return Err(class.wrong("it is not a transform"));
        };
        Ok(Self {
            inner: Arc::new(Inner {
                instance: Instance::new(class, params)?,
                table,
                spec,
                checked,
            }),
        })
    }
}

impl PluginTransform {
    pub(crate) fn table(&self) -> &TransformTable {
        &self.inner.table
    }

    pub(crate) fn instance(&self) -> &Instance {
        &self.inner.instance
    }
}

impl Transform for PluginTransform {
    fn name(&self) -> &'static str {
        self.inner.instance.class().name()
    }

    /// The plugin checked its parameters when the transform was made.
    fn validate(&self) -> Result<(), AugmentError> {
        Ok(())
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        if meta.size.area() * meta.channels == 0 {
            return Ok(Plan::identity());
        }
        let (plan, size) = self
            .inner
            .plan(meta, key)
            .map_err(|e| self.inner.error(&e))?;
        let version = self.inner.instance.class().state_version();
        let author: Arc<dyn External> = self.inner.clone();
        Ok(Opaque::new(author, version, plan, size).into())
    }

    fn spec(&self) -> Result<Spec, SpecError> {
        Ok(self.inner.spec.clone())
    }

    fn external(&self) -> Option<Arc<dyn External>> {
        Some(self.inner.clone())
    }
}

impl External for Inner {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn apply(&self, step: &Opaque, sample: &mut Sample) -> Result<(), AugmentError> {
        let class = self.instance.class();
        if step.version() != class.state_version() {
            return Err(self.error(&class.wrong(format!(
                "the plan is of version {}, this plugin's are of {}",
                step.version(),
                class.state_version()
            ))));
        }
        match self.apply(step, sample) {
            Ok(rows) => rows.put(sample, step.size()),
            Err(error) => Err(self.error(&error)),
        }
    }
}

impl Inner {
    fn error(&self, error: &PluginError) -> AugmentError {
        AugmentError::External {
            operation: self.instance.class().name().to_owned(),
            message: error.to_string(),
        }
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<(Vec<u8>, Size), PluginError> {
        let class = self.instance.class();
        let side = |n: usize| {
            u32::try_from(n).map_err(|_| class.wrong(format!("an image with a side of {n}")))
        };
        let (height, width) = (side(meta.size.height)?, side(meta.size.width)?);
        let before = Shape {
            height,
            width,
            channels: side(meta.channels)?,
        };
        let meta = abi::SampleMeta {
            size: size_of::<abi::SampleMeta>() as u32,
            height,
            width,
            channels: before.channels,
        };
        let (mut bytes, mut after) = (Collector::new(PLAN_LIMIT), before);
        let Some(plan) = self.table.plan else {
            return Err(class.wrong("its function `plan` is NULL"));
        };
        let words = key.words();
        self.instance.call("plan", |instance, error| {
            let sink = bytes.lend();
            // SAFETY: two words, a meta, a shape and two sinks that live as long
            // as the call, on an instance of this class.
            unsafe {
                plan(
                    instance,
                    words.as_ptr(),
                    &meta,
                    sink.as_ptr(),
                    &mut after,
                    error.as_ptr(),
                )
            }
        })?;
        let bytes = bytes
            .bytes()
            .ok_or_else(|| class.wrong(format!("its plan is larger than {PLAN_LIMIT} bytes")))?;
        let area = u64::from(after.height) * u64::from(after.width);
        if area == 0 || area > AREA_LIMIT {
            return Err(class.wrong(format!(
                "`plan` announces an image of {}x{}, expected 1 to 2^28 pixels",
                after.height, after.width
            )));
        }
        if after.channels != before.channels {
            return Err(class.wrong(format!(
                "`plan` announces {} channels for an image of {}; the number must stay",
                after.channels, before.channels
            )));
        }
        Ok((
            bytes,
            Size::new(after.height as usize, after.width as usize),
        ))
    }

    fn apply(&self, step: &Opaque, sample: &mut Sample) -> Result<Survivors, PluginError> {
        let class = self.instance.class();
        self.check_targets(sample)?;
        let (before, size) = (sample.image.size(), step.size());
        let in_place =
            class.flags().contains(ClassFlags::IN_PLACE) && before == size && !self.checked;

        let mut arrays = Arrays::of(sample, size, in_place, self.checked);
        let mut rows = Rows::of(sample);
        let mut source_masks: Vec<View> = sample.masks.iter_mut().map(mask).collect();
        let mut target_masks: Vec<View> = match &mut arrays {
            Some(arrays) => arrays.masks(size),
            None => source_masks.clone(),
        };
        let image = view(&mut sample.image);
        let source = abi::Sample {
            image,
            masks: source_masks.as_mut_ptr(),
            mask_count: source_masks.len(),
            boxes: rows.boxes.source(),
            points: rows.points.source(),
            box_src: std::ptr::null_mut(),
            point_src: std::ptr::null_mut(),
            box_count: rows.boxes.len(),
            point_count: rows.points.len(),
        };
        let mut target = abi::Sample {
            image: match &mut arrays {
                Some(arrays) => arrays.image(size, sample.image.channels()),
                None => image,
            },
            masks: target_masks.as_mut_ptr(),
            boxes: rows.boxes.target(),
            points: rows.points.target(),
            box_src: rows.boxes.origins(),
            point_src: rows.points.origins(),
            box_count: 0,
            point_count: 0,
            ..source
        };
        let lent = (target, target_masks.clone());
        let Some(apply) = self.table.apply else {
            return Err(class.wrong("its function `apply` is NULL"));
        };
        let plan = Bytes::of(step.plan());
        self.instance.call("apply", |instance, error| {
            // SAFETY: the arrays are as their views say and live as long as the
            // call; the destination is apart from the source, but for image and
            // masks of a class that is IN_PLACE.
            unsafe { apply(instance, 1, &plan, &source, &mut target, error.as_ptr()) }
        })?;
        unchanged(&lent.0, &lent.1, &target, &target_masks)
            .map_err(|what| class.wrong(format!("`apply` changed {what}; views are read-only")))?;
        if let Some(arrays) = arrays {
            arrays
                .put(sample, size)
                .ok_or_else(|| class.wrong("`apply` wrote outside of its destination"))?;
        }
        if not_finite(sample.image.values()) {
            return Err(class.wrong("`apply` left values in the image that are not finite"));
        }
        Ok(Survivors {
            boxes: rows
                .boxes
                .survivors(target.box_count)
                .map_err(|problem| class.wrong(format!("boxes: {problem}")))?,
            points: rows
                .points
                .survivors(target.point_count)
                .map_err(|problem| class.wrong(format!("points: {problem}")))?,
        })
    }

    /// A target that the class can't move is an error, never left behind.
    fn check_targets(&self, sample: &Sample) -> Result<(), PluginError> {
        let class = self.instance.class();
        let there = [
            ("masks", !sample.masks.is_empty(), Targets::MASKS),
            ("boxes", sample.boxes.is_some(), Targets::BOXES),
            ("key points", sample.points.is_some(), Targets::POINTS),
        ];
        for (name, there, target) in there {
            if there && !class.targets().contains(target) {
                return Err(class.wrong(format!(
                    "the sample has {name}, which this transform can't move"
                )));
            }
        }
        let labels = |mask: &Image| mask.channels() == 1 && mask.as_u8().is_some();
        if !sample.masks.iter().all(labels) {
            return Err(class.wrong("plugins take masks of bytes with one channel"));
        }
        Ok(())
    }
}

/// New arrays for image and masks.
struct Arrays {
    image: Output,
    dtype: abi::DType,
    masks: Vec<Output>,
}

impl Arrays {
    /// `None` where the plugin works in place.
    fn of(sample: &Sample, size: Size, in_place: bool, checked: bool) -> Option<Self> {
        if in_place {
            return None;
        }
        let like = sample.image.values();
        let mask = |mask: &Image| Output::new(mask.values(), size.area(), checked);
        Some(Self {
            image: Output::new(like, size.area() * sample.image.channels(), checked),
            dtype: dtype(like),
            masks: sample.masks.iter().map(mask).collect(),
        })
    }

    fn image(&mut self, size: Size, channels: usize) -> View {
        let shape = [size.height, size.width, channels];
        View::row_major(self.image.start(), self.dtype, shape)
    }

    fn masks(&mut self, size: Size) -> Vec<View> {
        let view = |mask: &mut Output| {
            View::row_major(mask.start(), abi::DType::U8, [size.height, size.width])
        };
        self.masks.iter_mut().map(view).collect()
    }

    /// Puts the arrays in place of the sample's; `None` if something was
    /// written beside one.
    fn put(self, sample: &mut Sample, size: Size) -> Option<()> {
        let channels = sample.image.channels();
        sample.image = rebuild(self.image.finish()?, size, channels)?;
        for (mask, output) in sample.masks.iter_mut().zip(self.masks) {
            *mask = rebuild(output.finish()?, size, 1)?;
        }
        Some(())
    }
}

fn rebuild(values: Values, size: Size, channels: usize) -> Option<Image> {
    match values {
        Values::U8(bytes) => Image::from_u8(bytes, size, channels).ok(),
        Values::F32(floats) => Image::from_f32(floats, size, channels).ok(),
    }
}

fn view(image: &mut Image) -> View {
    let shape = [image.size().height, image.size().width, image.channels()];
    match image.values_mut() {
        Values::U8(bytes) => View::row_major(bytes.as_mut_ptr().cast(), abi::DType::U8, shape),
        Values::F32(floats) => View::row_major(floats.as_mut_ptr().cast(), abi::DType::F32, shape),
    }
}

fn mask(image: &mut Image) -> View {
    let shape = [image.size().height, image.size().width];
    match image.values_mut() {
        Values::U8(bytes) => View::row_major(bytes.as_mut_ptr().cast(), abi::DType::U8, shape),
        Values::F32(_) => View::NONE,
    }
}

/// Boxes and points as the ABI has them: before, and room for after.
struct Rows {
    boxes: Table<4>,
    points: Table<2>,
}

impl Rows {
    fn of(sample: &Sample) -> Self {
        Self {
            boxes: Table::new(sample.boxes.as_ref().map(|boxes| boxes.rows.clone())),
            points: Table::new(sample.points.as_ref().map(|points| points.rows.clone())),
        }
    }
}

struct Table<const D: usize> {
    before: Option<Vec<[f32; D]>>,
    after: Vec<[f32; D]>,
    origins: Vec<u32>,
}

impl<const D: usize> Table<D> {
    fn new(before: Option<Vec<[f32; D]>>) -> Self {
        let len = before.as_ref().map_or(0, Vec::len);
        Self {
            before,
            after: vec![[0.0; D]; len],
            origins: vec![u32::MAX; len],
        }
    }

    fn len(&self) -> usize {
        self.after.len()
    }

    fn source(&mut self) -> View {
        match &mut self.before {
            Some(rows) => floats(rows),
            None => View::NONE,
        }
    }

    fn target(&mut self) -> View {
        match &self.before {
            Some(_) => floats(&mut self.after),
            None => View::NONE,
        }
    }

    fn origins(&mut self) -> *mut u32 {
        self.origins.as_mut_ptr()
    }

    /// The rows that survive with their origins.
    fn survivors(mut self, count: usize) -> Result<Option<Surviving<D>>, String> {
        let len = self.len();
        if count > len {
            return Err(format!("`apply` reports {count} rows, there were {len}"));
        }
        if self.before.is_none() {
            return Ok(None);
        }
        self.after.truncate(count);
        let mut seen = vec![false; len];
        let mut from = Vec::with_capacity(count);
        for &origin in &self.origins[..count] {
            let origin = origin as usize;
            match seen.get_mut(origin) {
                Some(true) => return Err(format!("`apply` reports row {origin} twice")),
                Some(seen) => *seen = true,
                None => return Err(format!("`apply` reports row {origin} of {len}")),
            }
            from.push(origin);
        }
        Ok(Some(Surviving {
            rows: self.after,
            from,
        }))
    }
}

fn floats<const D: usize>(rows: &mut [[f32; D]]) -> View {
    View::row_major(rows.as_mut_ptr().cast(), abi::DType::F32, [rows.len(), D])
}

struct Surviving<const D: usize> {
    rows: Vec<[f32; D]>,
    from: Vec<usize>,
}

struct Survivors {
    boxes: Option<Surviving<4>>,
    points: Option<Surviving<2>>,
}

impl Survivors {
    fn put(self, sample: &mut Sample, size: Size) -> Result<(), AugmentError> {
        if let (Some(boxes), Some(new)) = (&mut sample.boxes, self.boxes) {
            boxes.replace(&new.rows, &new.from, size)?;
        }
        if let (Some(points), Some(new)) = (&mut sample.points, self.points) {
            points.replace(&new.rows, &new.from, size)?;
        }
        Ok(())
    }
}

/// Names the first view that is not what the plugin was lent.
fn unchanged(
    lent: &abi::Sample,
    lent_masks: &[View],
    back: &abi::Sample,
    back_masks: &[View],
) -> Result<(), &'static str> {
    let same = |a: &View, b: &View| {
        a.data == b.data
            && a.dtype == b.dtype
            && a.ndim == b.ndim
            && a.shape == b.shape
            && a.strides == b.strides
    };
    let masks = lent.masks == back.masks
        && lent.mask_count == back.mask_count
        && lent_masks.iter().zip(back_masks).all(|(a, b)| same(a, b));
    let views = [
        ("the image's view", same(&lent.image, &back.image)),
        ("the masks' views", masks),
        (
            "the boxes' view",
            same(&lent.boxes, &back.boxes) && lent.box_src == back.box_src,
        ),
        (
            "the points' view",
            same(&lent.points, &back.points) && lent.point_src == back.point_src,
        ),
    ];
    match views.into_iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(what),
        None => Ok(()),
    }
}
