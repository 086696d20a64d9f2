/* The firecraft plugin ABI, for plugins in C.
 *
 * Made by `cargo xtask header` from crates/plugin/src/abi; do not edit.
 *
 * A plugin is a shared library that exports one function,
 *
 *   const FirecraftEntry *firecraft_plugin_entry(const FirecraftHost *host);
 *
 * Rules that hold for every function here:
 * - Whoever calls owns every buffer. Output of unknown length is written to a
 *   FirecraftSink of the caller. Nothing allocated on one side is freed on the
 *   other.
 * - Pointers that are passed in are valid for the duration of the call, and no
 *   longer; tables and FirecraftStrs inside tables live as long as the process.
 * - A status other than FIRECRAFT_STATUS_OK means that outputs are to be
 *   ignored; the reason is in the error sink, as UTF-8 for people.
 * - No exception leaves a function.
 * - Structs that may grow begin with their size: a field beyond it is absent.
 *
 * Needs C99; C++ can include it too. */
#ifndef FIRECRAFT_PLUGIN_H
#define FIRECRAFT_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define FIRECRAFT_EXPORT __declspec(dllexport)
#else
#define FIRECRAFT_EXPORT __attribute__((visibility("default")))
#endif

typedef struct FirecraftHead FirecraftHead;
typedef struct FirecraftStr FirecraftStr;
typedef struct FirecraftBytes FirecraftBytes;
typedef struct FirecraftSink FirecraftSink;
typedef struct FirecraftDType FirecraftDType;
typedef struct FirecraftView FirecraftView;
typedef struct FirecraftSample FirecraftSample;
typedef struct FirecraftSampleMeta FirecraftSampleMeta;
typedef struct FirecraftShape FirecraftShape;
typedef struct FirecraftTransformTable FirecraftTransformTable;
typedef struct FirecraftStepContext FirecraftStepContext;
typedef struct FirecraftSchedulerTable FirecraftSchedulerTable;
typedef struct FirecraftSelfTest FirecraftSelfTest;
typedef struct FirecraftClass FirecraftClass;
typedef struct FirecraftEntry FirecraftEntry;
typedef struct FirecraftHost FirecraftHost;

/* The first eight bytes of every table that crosses the boundary. */
#define FIRECRAFT_MAGIC "firecrft"

/* The major version: tables of another one are refused. */
#define FIRECRAFT_MAJOR 1u

/* The minor version: a larger one has more fields at the end. */
#define FIRECRAFT_MINOR 0u

/* Says what follows: 16 bytes that never change, in any version. */
struct FirecraftHead {
  /* `MAGIC`. */
  uint8_t magic[8];
  /* Bytes of the whole table, this head included, as its author compiled it. */
  uint32_t size;
  /* `MAJOR` of the author's copy of the ABI. */
  uint16_t major;
  /* `MINOR` of the author's copy of the ABI. */
  uint16_t minor;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftHead) == 16, "size");
static_assert(offsetof(FirecraftHead, magic) == 0, "magic");
static_assert(offsetof(FirecraftHead, size) == 8, "size");
static_assert(offsetof(FirecraftHead, major) == 12, "major");
static_assert(offsetof(FirecraftHead, minor) == 14, "minor");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftHead) == 16, "size");
_Static_assert(offsetof(FirecraftHead, magic) == 0, "magic");
_Static_assert(offsetof(FirecraftHead, size) == 8, "size");
_Static_assert(offsetof(FirecraftHead, major) == 12, "major");
_Static_assert(offsetof(FirecraftHead, minor) == 14, "minor");
#endif

/* Borrowed UTF-8: a pointer and a length, not terminated, owned by whoever
 * made it. Empty text may have a null pointer. */
struct FirecraftStr {
  /* The first byte; null only where `len` is 0. */
  const uint8_t *ptr;
  /* The number of bytes. */
  size_t len;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftStr) == 2 * sizeof(void *), "size");
static_assert(offsetof(FirecraftStr, ptr) == 0, "ptr");
static_assert(offsetof(FirecraftStr, len) == sizeof(void *), "len");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftStr) == 2 * sizeof(void *), "size");
_Static_assert(offsetof(FirecraftStr, ptr) == 0, "ptr");
_Static_assert(offsetof(FirecraftStr, len) == sizeof(void *), "len");
#endif

/* Borrowed bytes: a pointer and a length. No bytes may have a null pointer. */
struct FirecraftBytes {
  /* The first byte; null only where `len` is 0. */
  const uint8_t *ptr;
  /* The number of bytes. */
  size_t len;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftBytes) == 2 * sizeof(void *), "size");
static_assert(offsetof(FirecraftBytes, ptr) == 0, "ptr");
static_assert(offsetof(FirecraftBytes, len) == sizeof(void *), "len");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftBytes) == 2 * sizeof(void *), "size");
_Static_assert(offsetof(FirecraftBytes, ptr) == 0, "ptr");
_Static_assert(offsetof(FirecraftBytes, len) == sizeof(void *), "len");
#endif

/* How a call ended. */
typedef uint32_t FirecraftStatus;

/* It did what it should. */
#define FIRECRAFT_STATUS_OK ((FirecraftStatus)0u)

/* It could not; the error sink says why. */
#define FIRECRAFT_STATUS_FAILED ((FirecraftStatus)1u)

/* The plugin panicked; the instance is not to be used again. */
#define FIRECRAFT_STATUS_PANICKED ((FirecraftStatus)2u)

/* The instance panicked in an earlier call. */
#define FIRECRAFT_STATUS_POISONED ((FirecraftStatus)3u)

/* The plugin does not offer this. */
#define FIRECRAFT_STATUS_UNSUPPORTED ((FirecraftStatus)4u)

/* Takes `len` bytes from `bytes`; a status other than `Status::OK` says that
 * no more will be taken. */
typedef FirecraftStatus (*FirecraftWriteFn)(void *ctx, const uint8_t *bytes, size_t len);

/* Where the callee writes bytes: any number of calls, in order, from the
 * thread and during the call that the sink was passed to. */
struct FirecraftSink {
  /* The first argument of `write`. */
  void *ctx;
  /* Never NULL. */
  FirecraftWriteFn write;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftSink) == 2 * sizeof(void *), "size");
static_assert(offsetof(FirecraftSink, ctx) == 0, "ctx");
static_assert(offsetof(FirecraftSink, write) == sizeof(void *), "write");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftSink) == 2 * sizeof(void *), "size");
_Static_assert(offsetof(FirecraftSink, ctx) == 0, "ctx");
_Static_assert(offsetof(FirecraftSink, write) == sizeof(void *), "write");
#endif

/* The type of an array's elements, with DLPack's codes. */
struct FirecraftDType {
  /* 0 signed integer, 1 unsigned integer, 2 float. */
  uint8_t code;
  /* Bits of one element. */
  uint8_t bits;
  /* 1; more for vectors. */
  uint16_t lanes;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftDType) == 4, "size");
static_assert(offsetof(FirecraftDType, code) == 0, "code");
static_assert(offsetof(FirecraftDType, bits) == 1, "bits");
static_assert(offsetof(FirecraftDType, lanes) == 2, "lanes");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftDType) == 4, "size");
_Static_assert(offsetof(FirecraftDType, code) == 0, "code");
_Static_assert(offsetof(FirecraftDType, bits) == 1, "bits");
_Static_assert(offsetof(FirecraftDType, lanes) == 2, "lanes");
#endif

/* Bytes, for images and masks. */
#define FIRECRAFT_DTYPE_U8 {1, 8, 1}

/* Single precision, for images, boxes and points. */
#define FIRECRAFT_DTYPE_F32 {2, 32, 1}

/* An array of up to four dimensions in the memory of the CPU. Its fields map
 * one to one onto a `DLTensor`. */
struct FirecraftView {
  /* The first element; null where there is no array. */
  void *data;
  /* The type of the elements. */
  FirecraftDType dtype;
  /* The number of dimensions that count, 0 to 4. */
  uint32_t ndim;
  /* The lengths. */
  int64_t shape[4];
  /* The steps from one element to the next, in elements. */
  int64_t strides[4];
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftView) == sizeof(void *) + 8 + 64, "size");
static_assert(offsetof(FirecraftView, data) == 0, "data");
static_assert(offsetof(FirecraftView, dtype) == sizeof(void *), "dtype");
static_assert(offsetof(FirecraftView, ndim) == sizeof(void *) + 4, "ndim");
static_assert(offsetof(FirecraftView, shape) == sizeof(void *) + 8, "shape");
static_assert(offsetof(FirecraftView, strides) == sizeof(void *) + 40, "strides");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftView) == sizeof(void *) + 8 + 64, "size");
_Static_assert(offsetof(FirecraftView, data) == 0, "data");
_Static_assert(offsetof(FirecraftView, dtype) == sizeof(void *), "dtype");
_Static_assert(offsetof(FirecraftView, ndim) == sizeof(void *) + 4, "ndim");
_Static_assert(offsetof(FirecraftView, shape) == sizeof(void *) + 8, "shape");
_Static_assert(offsetof(FirecraftView, strides) == sizeof(void *) + 40, "strides");
#endif

/* An image with its targets. As a source it is read-only; as a destination its
 * arrays have been allocated by the host, in the sizes that planning announced.
 *
 * Labels never cross: the host keeps them, and follows `box_src` and
 * `point_src`. */
struct FirecraftSample {
  /* `[height, width, channels]`, bytes or floats. */
  FirecraftView image;
  /* Label maps, `[height, width]` bytes each; null where there are none. */
  FirecraftView *masks;
  /* How many masks there are. */
  size_t mask_count;
  /* `[N, 4]` floats `x0, y0, x1, y1` in pixels from the corner of the image; no
   * array where there are none. */
  FirecraftView boxes;
  /* `[K, 2]` floats `x, y` in pixels from the centre of the top left pixel; no
   * array where there are none. */
  FirecraftView points;
  /* In a destination: for each row that survives, its row in the source. */
  uint32_t *box_src;
  /* In a destination: as `box_src`, for points. */
  uint32_t *point_src;
  /* In a destination: how many boxes survive, at most the rows of `boxes`. */
  size_t box_count;
  /* In a destination: how many points survive. */
  size_t point_count;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftSample) == 3 * sizeof(FirecraftView) + 6 * sizeof(void *), "size");
static_assert(offsetof(FirecraftSample, image) == 0, "image");
static_assert(offsetof(FirecraftSample, masks) == sizeof(FirecraftView), "masks");
static_assert(offsetof(FirecraftSample, mask_count) == sizeof(FirecraftView) + sizeof(void *), "mask_count");
static_assert(offsetof(FirecraftSample, boxes) == sizeof(FirecraftView) + 2 * sizeof(void *), "boxes");
static_assert(offsetof(FirecraftSample, points) == 2 * sizeof(FirecraftView) + 2 * sizeof(void *), "points");
static_assert(offsetof(FirecraftSample, box_src) == 3 * sizeof(FirecraftView) + 2 * sizeof(void *), "box_src");
static_assert(offsetof(FirecraftSample, point_src) == 3 * sizeof(FirecraftView) + 3 * sizeof(void *), "point_src");
static_assert(offsetof(FirecraftSample, box_count) == 3 * sizeof(FirecraftView) + 4 * sizeof(void *), "box_count");
static_assert(offsetof(FirecraftSample, point_count) == 3 * sizeof(FirecraftView) + 5 * sizeof(void *), "point_count");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftSample) == 3 * sizeof(FirecraftView) + 6 * sizeof(void *), "size");
_Static_assert(offsetof(FirecraftSample, image) == 0, "image");
_Static_assert(offsetof(FirecraftSample, masks) == sizeof(FirecraftView), "masks");
_Static_assert(offsetof(FirecraftSample, mask_count) == sizeof(FirecraftView) + sizeof(void *), "mask_count");
_Static_assert(offsetof(FirecraftSample, boxes) == sizeof(FirecraftView) + 2 * sizeof(void *), "boxes");
_Static_assert(offsetof(FirecraftSample, points) == 2 * sizeof(FirecraftView) + 2 * sizeof(void *), "points");
_Static_assert(offsetof(FirecraftSample, box_src) == 3 * sizeof(FirecraftView) + 2 * sizeof(void *), "box_src");
_Static_assert(offsetof(FirecraftSample, point_src) == 3 * sizeof(FirecraftView) + 3 * sizeof(void *), "point_src");
_Static_assert(offsetof(FirecraftSample, box_count) == 3 * sizeof(FirecraftView) + 4 * sizeof(void *), "box_count");
_Static_assert(offsetof(FirecraftSample, point_count) == 3 * sizeof(FirecraftView) + 5 * sizeof(void *), "point_count");
#endif

/* What a transform may know of a sample when it plans. */
struct FirecraftSampleMeta {
  /* Bytes of this struct. */
  uint32_t size;
  /* Pixels from top to bottom. */
  uint32_t height;
  /* Pixels from left to right. */
  uint32_t width;
  /* Channels of the image. */
  uint32_t channels;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftSampleMeta) == 16, "size");
static_assert(offsetof(FirecraftSampleMeta, size) == 0, "size");
static_assert(offsetof(FirecraftSampleMeta, height) == 4, "height");
static_assert(offsetof(FirecraftSampleMeta, width) == 8, "width");
static_assert(offsetof(FirecraftSampleMeta, channels) == 12, "channels");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftSampleMeta) == 16, "size");
_Static_assert(offsetof(FirecraftSampleMeta, size) == 0, "size");
_Static_assert(offsetof(FirecraftSampleMeta, height) == 4, "height");
_Static_assert(offsetof(FirecraftSampleMeta, width) == 8, "width");
_Static_assert(offsetof(FirecraftSampleMeta, channels) == 12, "channels");
#endif

/* The size of an image. */
struct FirecraftShape {
  /* Pixels from top to bottom. */
  uint32_t height;
  /* Pixels from left to right. */
  uint32_t width;
  /* Channels. */
  uint32_t channels;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftShape) == 12, "size");
static_assert(offsetof(FirecraftShape, height) == 0, "height");
static_assert(offsetof(FirecraftShape, width) == 4, "width");
static_assert(offsetof(FirecraftShape, channels) == 8, "channels");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftShape) == 12, "size");
_Static_assert(offsetof(FirecraftShape, height) == 0, "height");
_Static_assert(offsetof(FirecraftShape, width) == 4, "width");
_Static_assert(offsetof(FirecraftShape, channels) == 8, "channels");
#endif

/* Draws everything random for one sample and writes it to `plan`; `output` is
 * the size of the image after it, and on entry that of the image before. The
 * number of channels stays.
 *
 * Pure: the same instance parameters, key and meta give the same bytes, on
 * every machine and thread. `key` is two words; the generator that belongs to
 * it is specified in `firecraft-key`, and a C version is in the header. */
typedef FirecraftStatus (*FirecraftPlanFn)(const void *instance, const uint64_t *key, const FirecraftSampleMeta *meta, const FirecraftSink *plan, FirecraftShape *output, const FirecraftSink *error);

/* Does what `count` plans say, to `count` samples. Each destination has the
 * size that its plan announced, and no initial content that means anything:
 * the plugin writes all of it. Nothing is drawn here: the same plan and source
 * give the same destination. The views of a destination are read, never
 * changed; only its counts are. */
typedef FirecraftStatus (*FirecraftApplyFn)(const void *instance, size_t count, const FirecraftBytes *plans, const FirecraftSample *src, FirecraftSample *dst, const FirecraftSink *error);

/* The functions of a transform. */
struct FirecraftTransformTable {
  /* Says how much follows. */
  FirecraftHead head;
  /* Never NULL. */
  FirecraftPlanFn plan;
  /* Never NULL. */
  FirecraftApplyFn apply;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftTransformTable) == 16 + 2 * sizeof(void *), "size");
static_assert(offsetof(FirecraftTransformTable, head) == 0, "head");
static_assert(offsetof(FirecraftTransformTable, plan) == 16, "plan");
static_assert(offsetof(FirecraftTransformTable, apply) == 16 + sizeof(void *), "apply");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftTransformTable) == 16 + 2 * sizeof(void *), "size");
_Static_assert(offsetof(FirecraftTransformTable, head) == 0, "head");
_Static_assert(offsetof(FirecraftTransformTable, plan) == 16, "plan");
_Static_assert(offsetof(FirecraftTransformTable, apply) == 16 + sizeof(void *), "apply");
#endif

/* Which optional fields of a `StepContext` are there, as bits. */
typedef uint32_t FirecraftStepFlags;

/* `total_updates` is known. */
#define FIRECRAFT_STEP_FLAGS_TOTAL_UPDATES ((FirecraftStepFlags)1u)

/* `updates_per_epoch` is known. */
#define FIRECRAFT_STEP_FLAGS_UPDATES_PER_EPOCH ((FirecraftStepFlags)2u)

/* The model was evaluated since the last step, and `metric` is the result. */
#define FIRECRAFT_STEP_FLAGS_METRIC ((FirecraftStepFlags)4u)

/* Where a run stands. */
struct FirecraftStepContext {
  /* Bytes of this struct. */
  uint32_t size;
  /* Which of the last three fields are there. */
  FirecraftStepFlags flags;
  /* Index of the update about to run, from 0. */
  uint64_t update;
  /* Index of its epoch, from 0. */
  uint64_t epoch;
  /* Length of the run in updates. */
  uint64_t total_updates;
  /* Updates in one epoch. */
  uint64_t updates_per_epoch;
  /* The monitored metric. */
  double metric;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftStepContext) == 48, "size");
static_assert(offsetof(FirecraftStepContext, size) == 0, "size");
static_assert(offsetof(FirecraftStepContext, flags) == 4, "flags");
static_assert(offsetof(FirecraftStepContext, update) == 8, "update");
static_assert(offsetof(FirecraftStepContext, epoch) == 16, "epoch");
static_assert(offsetof(FirecraftStepContext, total_updates) == 24, "total_updates");
static_assert(offsetof(FirecraftStepContext, updates_per_epoch) == 32, "updates_per_epoch");
static_assert(offsetof(FirecraftStepContext, metric) == 40, "metric");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftStepContext) == 48, "size");
_Static_assert(offsetof(FirecraftStepContext, size) == 0, "size");
_Static_assert(offsetof(FirecraftStepContext, flags) == 4, "flags");
_Static_assert(offsetof(FirecraftStepContext, update) == 8, "update");
_Static_assert(offsetof(FirecraftStepContext, epoch) == 16, "epoch");
_Static_assert(offsetof(FirecraftStepContext, total_updates) == 24, "total_updates");
_Static_assert(offsetof(FirecraftStepContext, updates_per_epoch) == 32, "updates_per_epoch");
_Static_assert(offsetof(FirecraftStepContext, metric) == 40, "metric");
#endif

/* Fills `values` with what is in force for the update of `context`. Called
 * once before each update, in order; allocates nothing. */
typedef FirecraftStatus (*FirecraftStepFn)(void *instance, const FirecraftStepContext *context, double *values, size_t count, const FirecraftSink *error);

/* Writes everything that is needed to go on from here, in a form of the
 * plugin's own. */
typedef FirecraftStatus (*FirecraftSaveFn)(const void *instance, const FirecraftSink *state, const FirecraftSink *error);

/* Goes on from what `save` wrote, in this version of the state or an older
 * one. Later steps give the same bits as without the interruption. */
typedef FirecraftStatus (*FirecraftLoadFn)(void *instance, uint32_t version, const uint8_t *state, size_t len, const FirecraftSink *error);

/* The functions of a scheduler. */
struct FirecraftSchedulerTable {
  /* Says how much follows. */
  FirecraftHead head;
  /* Never NULL. */
  FirecraftStepFn step;
  /* NULL together with `load` for a scheduler without state. */
  FirecraftSaveFn save;
  /* NULL together with `save`. */
  FirecraftLoadFn load;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftSchedulerTable) == 16 + 3 * sizeof(void *), "size");
static_assert(offsetof(FirecraftSchedulerTable, head) == 0, "head");
static_assert(offsetof(FirecraftSchedulerTable, step) == 16, "step");
static_assert(offsetof(FirecraftSchedulerTable, save) == 16 + sizeof(void *), "save");
static_assert(offsetof(FirecraftSchedulerTable, load) == 16 + 2 * sizeof(void *), "load");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftSchedulerTable) == 16 + 3 * sizeof(void *), "size");
_Static_assert(offsetof(FirecraftSchedulerTable, head) == 0, "head");
_Static_assert(offsetof(FirecraftSchedulerTable, step) == 16, "step");
_Static_assert(offsetof(FirecraftSchedulerTable, save) == 16 + sizeof(void *), "save");
_Static_assert(offsetof(FirecraftSchedulerTable, load) == 16 + 2 * sizeof(void *), "load");
#endif

/* The name of the optional table that `get_extension` of an `Entry`
 * gives: a `SelfTest`. */
#define FIRECRAFT_SELF_TEST "self-test/1"

/* Tests the plugin. A status other than OK says that it does not work here;
 * the reason is in the error sink. */
typedef FirecraftStatus (*FirecraftSelfTestFn)(const FirecraftSink *error);

/* A plugin's own test, which `firecraft plugin check` runs. */
struct FirecraftSelfTest {
  /* Says how much follows. */
  FirecraftHead head;
  /* Never NULL. */
  FirecraftSelfTestFn run;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftSelfTest) == 16 + sizeof(void *), "size");
static_assert(offsetof(FirecraftSelfTest, head) == 0, "head");
static_assert(offsetof(FirecraftSelfTest, run) == 16, "run");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftSelfTest) == 16 + sizeof(void *), "size");
_Static_assert(offsetof(FirecraftSelfTest, head) == 0, "head");
_Static_assert(offsetof(FirecraftSelfTest, run) == 16, "run");
#endif

/* What a class is. */
typedef uint32_t FirecraftClassKind;

/* Its table is a `TransformTable`. */
#define FIRECRAFT_CLASS_KIND_TRANSFORM ((FirecraftClassKind)1u)

/* Its table is a `SchedulerTable`. */
#define FIRECRAFT_CLASS_KIND_SCHEDULER ((FirecraftClassKind)2u)

/* What a class promises, as bits. */
typedef uint32_t FirecraftClassFlags;

/* Nothing. */
#define FIRECRAFT_CLASS_FLAGS_NONE ((FirecraftClassFlags)0u)

/* One instance may be called from several threads at once. Without it the
 * host calls an instance from one thread at a time. */
#define FIRECRAFT_CLASS_FLAGS_THREAD_SHARED ((FirecraftClassFlags)1u)

/* Image and masks of a destination may be those of its source, in the same
 * memory, where a plan keeps the size. Boxes and points never are. */
#define FIRECRAFT_CLASS_FLAGS_IN_PLACE ((FirecraftClassFlags)2u)

/* What a transform can move, as bits. A sample with a target that is not among
 * them is refused by the host. */
typedef uint32_t FirecraftTargets;

/* The image alone. */
#define FIRECRAFT_TARGETS_IMAGE ((FirecraftTargets)1u)

/* Label maps. */
#define FIRECRAFT_TARGETS_MASKS ((FirecraftTargets)2u)

/* Boxes. */
#define FIRECRAFT_TARGETS_BOXES ((FirecraftTargets)4u)

/* Key points. */
#define FIRECRAFT_TARGETS_POINTS ((FirecraftTargets)8u)

/* Everything: also right for a transform that moves nothing. */
#define FIRECRAFT_TARGETS_ALL ((FirecraftTargets)15u)

/* Makes an instance from parameters, a JSON object that fits the class's
 * schema. On success `*instance` is not null. */
typedef FirecraftStatus (*FirecraftCreateFn)(FirecraftStr params, void **instance, const FirecraftSink *error);

/* Ends an instance. Called once, when no other call is running on it. */
typedef void (*FirecraftDestroyFn)(void *instance);

/* One type of transform or scheduler. */
struct FirecraftClass {
  /* Says how much follows. */
  FirecraftHead head;
  /* What it is. */
  FirecraftClassKind kind;
  /* What it promises. */
  FirecraftClassFlags flags;
  /* What a transform can move; 0 for schedulers. */
  FirecraftTargets targets;
  /* The version of a scheduler's saved state, of a transform's plans. Raise
   * it when their form changes. */
  uint32_t state_version;
  /* The name in specs, such as `"film_grain"`: 1 to 64 of `a-z 0-9 _ . -`. */
  FirecraftStr name;
  /* What it does, in a sentence. */
  FirecraftStr summary;
  /* A JSON Schema of the parameters. */
  FirecraftStr params_schema;
  /* Never NULL. */
  FirecraftCreateFn create;
  /* Never NULL. */
  FirecraftDestroyFn destroy;
  /* A `TransformTable` or a
   * `SchedulerTable`, by `kind`. */
  const FirecraftHead *table;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftClass) == 32 + 9 * sizeof(void *), "size");
static_assert(offsetof(FirecraftClass, head) == 0, "head");
static_assert(offsetof(FirecraftClass, kind) == 16, "kind");
static_assert(offsetof(FirecraftClass, flags) == 20, "flags");
static_assert(offsetof(FirecraftClass, targets) == 24, "targets");
static_assert(offsetof(FirecraftClass, state_version) == 28, "state_version");
static_assert(offsetof(FirecraftClass, name) == 32, "name");
static_assert(offsetof(FirecraftClass, summary) == 32 + 2 * sizeof(void *), "summary");
static_assert(offsetof(FirecraftClass, params_schema) == 32 + 4 * sizeof(void *), "params_schema");
static_assert(offsetof(FirecraftClass, create) == 32 + 6 * sizeof(void *), "create");
static_assert(offsetof(FirecraftClass, destroy) == 32 + 7 * sizeof(void *), "destroy");
static_assert(offsetof(FirecraftClass, table) == 32 + 8 * sizeof(void *), "table");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftClass) == 32 + 9 * sizeof(void *), "size");
_Static_assert(offsetof(FirecraftClass, head) == 0, "head");
_Static_assert(offsetof(FirecraftClass, kind) == 16, "kind");
_Static_assert(offsetof(FirecraftClass, flags) == 20, "flags");
_Static_assert(offsetof(FirecraftClass, targets) == 24, "targets");
_Static_assert(offsetof(FirecraftClass, state_version) == 28, "state_version");
_Static_assert(offsetof(FirecraftClass, name) == 32, "name");
_Static_assert(offsetof(FirecraftClass, summary) == 32 + 2 * sizeof(void *), "summary");
_Static_assert(offsetof(FirecraftClass, params_schema) == 32 + 4 * sizeof(void *), "params_schema");
_Static_assert(offsetof(FirecraftClass, create) == 32 + 6 * sizeof(void *), "create");
_Static_assert(offsetof(FirecraftClass, destroy) == 32 + 7 * sizeof(void *), "destroy");
_Static_assert(offsetof(FirecraftClass, table) == 32 + 8 * sizeof(void *), "table");
#endif

/* The one symbol that a plugin exports; of the type `EntryFn`. */
#define FIRECRAFT_ENTRY_SYMBOL "firecraft_plugin_entry"

/* What `ENTRY_SYMBOL` is: it takes the host's table and returns the
 * plugin's, or null if the host does not offer what the plugin needs.
 *
 * Called once per load, from one thread. The returned table lives as long as
 * the process; libraries are never unloaded. `host` lives as long too. */
typedef const FirecraftEntry *(*FirecraftEntryFn)(const FirecraftHost *host);

/* Finds an optional table by its name and version, such as `"self-test/1"`:
 * a pointer to a table that begins with a `Head` and lives as long as the
 * process, or null. May be called from any thread. */
typedef const void *(*FirecraftExtensionFn)(FirecraftStr id);

/* What a plugin tells about itself. */
struct FirecraftEntry {
  /* Frozen; `size` is that of the whole `Entry`. */
  FirecraftHead head;
  /* A name that no other plugin has, in reverse domain order:
   * `"org.example.film-grain"`. 1 to 256 bytes. */
  FirecraftStr id;
  /* The plugin's own version, such as `"1.2.0"`. 1 to 256 bytes. */
  FirecraftStr version;
  /* How many classes `class_at` knows. */
  size_t classes;
  /* The class at an index below `classes`; it lives as long as the process.
   * May be called from any thread. NULL only where `classes` is 0. */
  const FirecraftClass *(*class_at)(size_t index);
  /* The plugin's optional tables; NULL if it has none. */
  FirecraftExtensionFn get_extension;
};

/* What the host tells about itself. */
struct FirecraftHost {
  /* Frozen; `size` is that of the whole `Host`. */
  FirecraftHead head;
  /* The host's optional tables; NULL if it has none. */
  FirecraftExtensionFn get_extension;
};

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftEntry) == 16 + 7 * sizeof(void *), "size");
static_assert(offsetof(FirecraftEntry, head) == 0, "head");
static_assert(offsetof(FirecraftEntry, id) == 16, "id");
static_assert(offsetof(FirecraftEntry, version) == 16 + 2 * sizeof(void *), "version");
static_assert(offsetof(FirecraftEntry, classes) == 16 + 4 * sizeof(void *), "classes");
static_assert(offsetof(FirecraftEntry, class_at) == 16 + 5 * sizeof(void *), "class_at");
static_assert(offsetof(FirecraftEntry, get_extension) == 16 + 6 * sizeof(void *), "get_extension");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftEntry) == 16 + 7 * sizeof(void *), "size");
_Static_assert(offsetof(FirecraftEntry, head) == 0, "head");
_Static_assert(offsetof(FirecraftEntry, id) == 16, "id");
_Static_assert(offsetof(FirecraftEntry, version) == 16 + 2 * sizeof(void *), "version");
_Static_assert(offsetof(FirecraftEntry, classes) == 16 + 4 * sizeof(void *), "classes");
_Static_assert(offsetof(FirecraftEntry, class_at) == 16 + 5 * sizeof(void *), "class_at");
_Static_assert(offsetof(FirecraftEntry, get_extension) == 16 + 6 * sizeof(void *), "get_extension");
#endif

#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(FirecraftHost) == 16 + sizeof(void *), "size");
static_assert(offsetof(FirecraftHost, head) == 0, "head");
static_assert(offsetof(FirecraftHost, get_extension) == 16, "get_extension");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(FirecraftHost) == 16 + sizeof(void *), "size");
_Static_assert(offsetof(FirecraftHost, head) == 0, "head");
_Static_assert(offsetof(FirecraftHost, get_extension) == 16, "get_extension");
#endif


/* The first member of a table of this version: FIRECRAFT_HEAD(FirecraftClass). */
#define FIRECRAFT_HEAD(table)                                                  \
  {                                                                            \
    {'f', 'i', 'r', 'e', 'c', 'r', 'f', 't'}, (uint32_t)sizeof(table),         \
        FIRECRAFT_MAJOR, FIRECRAFT_MINOR                                       \
  }

/* A literal as text: FIRECRAFT_STR("grain"). */
#define FIRECRAFT_STR(literal)                                                 \
  { (const uint8_t *)(literal), sizeof(literal) - 1 }

/* The function that a plugin exports. */
FIRECRAFT_EXPORT const FirecraftEntry *firecraft_plugin_entry(const FirecraftHost *host);

/* Writes a message, ended by a zero byte, and gives the status to return. */
static inline FirecraftStatus firecraft_fail(const FirecraftSink *error, const char *message) {
  if (error != NULL) {
    error->write(error->ctx, (const uint8_t *)message, strlen(message));
  }
  return FIRECRAFT_STATUS_FAILED;
}

/* Random numbers: the C form of the generator that `firecraft-key` specifies.
 *
 * The same key gives the same numbers here and in Rust, bit for bit. Compile
 * with -ffp-contract=off where your compiler fuses multiplications and
 * additions by default (GCC does outside of -std=c99, c11, …): `normal` is a
 * fixed sequence of operations, each rounded once. */

/* Ten rounds of Philox4x32 (Salmon et al., SC 2011). */
static inline void firecraft_philox(const uint32_t counter[4], const uint32_t key[2],
                                    uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t left = (uint64_t)0xD2511F53u * c0;
    uint64_t right = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(right >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)right;
    c2 = (uint32_t)(left >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)left;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/* Block `index` of the stream of a key, four words. */
static inline void firecraft_block(const uint64_t key[2], uint64_t index, uint32_t out[4]) {
  const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)key[1],
                               (uint32_t)(key[1] >> 32)};
  const uint32_t words[2] = {(uint32_t)key[0], (uint32_t)(key[0] >> 32)};
  firecraft_philox(counter, words, out);
}

static inline void firecraft_derive(const uint64_t key[2], uint64_t data, uint64_t domain,
                                    uint64_t out[2]) {
  const uint64_t moved[2] = {key[0] ^ domain, key[1]};
  uint32_t block[4];
  firecraft_block(moved, data, block);
  out[0] = block[0] | (uint64_t)block[1] << 32;
  out[1] = block[2] | (uint64_t)block[3] << 32;
}

/* The child of a key for a number. Fold before drawing. */
static inline void firecraft_fold(const uint64_t key[2], uint64_t data, uint64_t out[2]) {
  firecraft_derive(key, data, UINT64_C(0x9E3779B97F4A7C15), out);
}

/* The child of a key for a name, `len` bytes of UTF-8. */
static inline void firecraft_named(const uint64_t key[2], const char *name, size_t len,
                                   uint64_t out[2]) {
  const uint64_t domain = UINT64_C(0xD1B54A32D192ED03);
  firecraft_derive(key, len, domain, out);
  for (size_t start = 0; start < len; start += 8) {
    uint64_t group = 0;
    for (size_t i = 0; i < 8 && start + i < len; i++) {
      group |= (uint64_t)(uint8_t)name[start + i] << (8 * i);
    }
    const uint64_t parent[2] = {out[0], out[1]};
    firecraft_derive(parent, group, domain, out);
  }
}

/* Reads the stream of a key word by word. */
typedef struct FirecraftRng {
  uint64_t key[2];
  uint64_t position;
  uint32_t block[4];
} FirecraftRng;

static inline FirecraftRng firecraft_rng(const uint64_t key[2]) {
  FirecraftRng rng = {{key[0], key[1]}, 0, {0, 0, 0, 0}};
  return rng;
}

/* The next word. Takes one. */
static inline uint32_t firecraft_next_u32(FirecraftRng *rng) {
  if (rng->position % 4 == 0) {
    firecraft_block(rng->key, rng->position / 4, rng->block);
  }
  return rng->block[rng->position++ % 4];
}

/* The next two words, the first one in the low half. */
static inline uint64_t firecraft_next_u64(FirecraftRng *rng) {
  uint64_t low = firecraft_next_u32(rng);
  return low | (uint64_t)firecraft_next_u32(rng) << 32;
}

/* Uniform on [0, 1) with 24 random bits. Takes one word. */
static inline float firecraft_uniform(FirecraftRng *rng) {
  return (float)(firecraft_next_u32(rng) >> 8) * (1.0f / 16777216.0f);
}

/* Uniform on [0, 1) with 53 random bits. Takes two words. */
static inline double firecraft_uniform_f64(FirecraftRng *rng) {
  return (double)(firecraft_next_u64(rng) >> 11) * (1.0 / 9007199254740992.0);
}

/* Uniform on [low, high); `low` if the range is empty. Takes two words. */
static inline double firecraft_range(FirecraftRng *rng, double low, double high) {
  double span = (high - low) * firecraft_uniform_f64(rng);
  double value = low + span;
  return value < high && value >= low ? value : low;
}

/* The high and low half of a product of two 64-bit numbers. */
static inline uint64_t firecraft_multiply(uint64_t a, uint64_t b, uint64_t *low) {
  uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
  uint64_t middle = a1 * b0 + (a0 * b0 >> 32);
  uint64_t cross = a0 * b1 + (uint32_t)middle;
  *low = a * b;
  return a1 * b1 + (middle >> 32) + (cross >> 32);
}

/* Uniform on 0..bound without bias; 0 if `bound` is 0 or 1 (Lemire's method).
 * Takes two words, and two more with a probability below bound / 2^64. */
static inline uint64_t firecraft_below(FirecraftRng *rng, uint64_t bound) {
  if (bound <= 1) {
    return 0;
  }
  uint64_t threshold = (0 - bound) % bound;
  for (;;) {
    uint64_t low;
    uint64_t high = firecraft_multiply(firecraft_next_u64(rng), bound, &low);
    if (low >= threshold) {
      return high;
    }
  }
}

/* 1 with probability p. Takes two words. */
static inline int firecraft_chance(FirecraftRng *rng, double p) {
  return firecraft_uniform_f64(rng) < p;
}

static inline float firecraft_horner(const float *coefficients, int count, float x) {
  float sum = 0.0f;
  for (int i = 0; i < count; i++) {
    sum = sum * x;
    sum = sum + coefficients[i];
  }
  return sum;
}

static inline uint32_t firecraft_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float firecraft_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* Natural logarithm of a positive normal number, after Cephes' logf. */
static inline float firecraft_ln(float x) {
  static const float P[9] = {7.0376836e-2f,  -1.151461e-1f,  1.1676999e-1f,
                             -1.2420140e-1f, 1.4249323e-1f,  -1.6668058e-1f,
                             2.0000715e-1f,  -2.4999994e-1f, 3.3333331e-1f};
  uint32_t shifted = firecraft_bits(x) - 0x3f3504f3u;
  /* The exponent is the signed upper part. */
  int32_t exponent_bits = (int32_t)(shifted >> 23);
  float exponent = (float)(exponent_bits >= 256 ? exponent_bits - 512 : exponent_bits);
  float m = firecraft_float((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
  float square = m * m;
  float y = firecraft_horner(P, 9, m) * m;
  y = y * square;
  float low = exponent * -2.1219444e-4f;
  y = y + low;
  float half = square * -0.5f;
  y = y + half;
  float high = exponent * 0.6933594f;
  return (m + y) + high;
}

/* Correctly rounded square root of a positive normal number. */
static inline float firecraft_sqrt(float x) {
  uint32_t bits = firecraft_bits(x);
  int32_t exponent = (int32_t)(bits >> 23) - 150;
  uint64_t mantissa = (bits & 0x007fffffu) | 0x00800000u;
  int32_t shift = exponent % 2 == 0 ? 30 : 31;
  uint64_t radicand = mantissa << shift;
  uint64_t root = 0;
  for (uint64_t bit = UINT64_C(1) << 31; bit != 0; bit >>= 1) {
    uint64_t next = root | bit;
    if (next * next <= radicand) {
      root = next;
    }
  }
  uint64_t inexact = root * root != radicand;
  int32_t scale = (exponent - shift) / 2 - 1;
  return (float)(root << 1 | inexact) * firecraft_float((uint32_t)(scale + 127) << 23);
}

/* Standard normal. Takes one word. */
static inline float firecraft_normal(FirecraftRng *rng) {
  static const float CN[4] = {59.109375f, 159.29113f, 50.43427f, 3.3871327f};
  static const float CD[4] = {67.18756f, 78.75776f, 17.895170f, 1.0f};
  static const float TN[4] = {0.17023821f, 1.3067285f, 2.7568154f, 1.4234372f};
  static const float TD[3] = {0.12021133f, 0.73700164f, 1.0f};
  uint32_t word = firecraft_next_u32(rng);
  float tail = ((float)(word & 0x7fffffffu) + 0.5f) * (1.0f / 4294967296.0f);
  float centre = 0.5f - tail;
  float z;
  if (centre <= 0.425f) {
    float square = centre * centre;
    float r = 0.180625f - square;
    float numerator = centre * firecraft_horner(CN, 4, r);
    z = numerator / firecraft_horner(CD, 4, r);
  } else {
    float r = firecraft_sqrt(-firecraft_ln(tail)) - 1.6f;
    z = firecraft_horner(TN, 4, r) / firecraft_horner(TD, 3, r);
  }
  return firecraft_float(firecraft_bits(z) | (word & 0x80000000u));
}

#ifdef __cplusplus
}
#endif

#endif
