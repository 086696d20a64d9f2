/* Example plugin in C: the dark lines of an old television.
 *
 *   [[augment]]
 *   type = "scanlines"
 *   period = 4
 *   depth = 0.5
 *
 * Every `period`-th row is multiplied by 1 - depth · u, with u uniform on
 * [0, 1) and the first such row drawn per image. Nothing moves. */

#include "params.h"

typedef struct Scanlines {
  double period, depth;
} Scanlines;

/* What is drawn for one image; written to the plan as it is, since a plan is
 * read by the machine that wrote it or by one of the same kind. */
typedef struct Drawn {
  uint32_t first, period;
  float light;
} Drawn;

static FirecraftStatus create(FirecraftStr params, void **instance, const FirecraftSink *error) {
  Scanlines made = {4, 0.5};
  Param known[] = {
      {"period", &made.period, 2, 1024, 0, 0},
      {"depth", &made.depth, 0, 1, 0, 0},
  };
  FirecraftStatus status = read_params(params, known, 2, error);
  if (status != FIRECRAFT_STATUS_OK) {
    return status;
  }
  if (made.period != floor(made.period)) {
    return firecraft_fail(error, "`period` must be a whole number");
  }
  Scanlines *kept = malloc(sizeof *kept);
  if (kept == NULL) {
    return firecraft_fail(error, "out of memory");
  }
  *kept = made;
  *instance = kept;
  return FIRECRAFT_STATUS_OK;
}

static FirecraftStatus plan(const void *instance, const uint64_t *key,
                            const FirecraftSampleMeta *meta, const FirecraftSink *plan,
                            FirecraftShape *output, const FirecraftSink *error) {
  const Scanlines *self = instance;
  FirecraftRng rng = firecraft_rng(key);
  Drawn drawn;
  drawn.period = (uint32_t)self->period;
  drawn.first = (uint32_t)firecraft_below(&rng, drawn.period);
  drawn.light = (float)(1.0 - self->depth * firecraft_uniform_f64(&rng));
  (void)meta;
  (void)output;
  if (plan->write(plan->ctx, (const uint8_t *)&drawn, sizeof drawn) != FIRECRAFT_STATUS_OK) {
    return firecraft_fail(error, "the host takes no plan");
  }
  return FIRECRAFT_STATUS_OK;
}

static void darken(const Drawn *drawn, const FirecraftView *image) {
  size_t row = (size_t)(image->shape[1] * image->shape[2]);
  for (size_t y = drawn->first; y < (size_t)image->shape[0]; y += drawn->period) {
    if (image->dtype.bits == 8) {
      uint8_t *bytes = (uint8_t *)image->data + y * row;
      for (size_t i = 0; i < row; i++) {
        bytes[i] = (uint8_t)((float)bytes[i] * drawn->light + 0.5f);
      }
    } else {
      float *floats = (float *)image->data + y * row;
      for (size_t i = 0; i < row; i++) {
        floats[i] = floats[i] * drawn->light;
      }
    }
  }
}

static size_t bytes_of(const FirecraftView *view) {
  size_t bytes = view->dtype.bits / 8;
  for (uint32_t axis = 0; axis < view->ndim; axis++) {
    bytes *= (size_t)view->shape[axis];
  }
  return bytes;
}

/* Image and masks may be the source's own; memmove allows for it. */
static FirecraftStatus copy(const FirecraftView *from, const FirecraftView *to,
                            const FirecraftSink *error) {
  if (from->data == to->data || from->ndim == 0 || bytes_of(from) == 0) {
    return FIRECRAFT_STATUS_OK;
  }
  /* The room is what the destination says, whatever the plan said. */
  if (bytes_of(from) != bytes_of(to)) {
    return firecraft_fail(error, "source and destination differ in size");
  }
  memmove(to->data, from->data, bytes_of(from));
  return FIRECRAFT_STATUS_OK;
}

static FirecraftStatus apply(const void *instance, size_t count, const FirecraftBytes *plans,
                             const FirecraftSample *src, FirecraftSample *dst,
                             const FirecraftSink *error) {
  (void)instance;
  for (size_t n = 0; n < count; n++) {
    Drawn drawn;
    if (plans[n].len != sizeof drawn) {
      return firecraft_fail(error, "a plan that is not one");
    }
    memcpy(&drawn, plans[n].ptr, sizeof drawn);
    if (drawn.period == 0) {
      return firecraft_fail(error, "a plan that is not one");
    }
    FirecraftStatus status = copy(&src[n].image, &dst[n].image, error);
    for (size_t i = 0; i < src[n].mask_count && status == FIRECRAFT_STATUS_OK; i++) {
      status = copy(&src[n].masks[i], &dst[n].masks[i], error);
    }
    if (status == FIRECRAFT_STATUS_OK) {
      status = copy(&src[n].boxes, &dst[n].boxes, error);
    }
    if (status == FIRECRAFT_STATUS_OK) {
      status = copy(&src[n].points, &dst[n].points, error);
    }
    if (status != FIRECRAFT_STATUS_OK) {
      return status;
    }
    darken(&drawn, &dst[n].image);
    dst[n].box_count = src[n].boxes.ndim > 0 ? (size_t)src[n].boxes.shape[0] : 0;
    dst[n].point_count = src[n].points.ndim > 0 ? (size_t)src[n].points.shape[0] : 0;
    for (size_t i = 0; i < dst[n].box_count; i++) {
      dst[n].box_src[i] = (uint32_t)i;
    }
    for (size_t i = 0; i < dst[n].point_count; i++) {
      dst[n].point_src[i] = (uint32_t)i;
    }
  }
  return FIRECRAFT_STATUS_OK;
}

static const FirecraftTransformTable TABLE = {
    FIRECRAFT_HEAD(FirecraftTransformTable),
    plan,
    apply,
};

static const FirecraftClass CLASS = {
    FIRECRAFT_HEAD(FirecraftClass),
    FIRECRAFT_CLASS_KIND_TRANSFORM,
    FIRECRAFT_CLASS_FLAGS_THREAD_SHARED | FIRECRAFT_CLASS_FLAGS_IN_PLACE,
    FIRECRAFT_TARGETS_ALL,
    1,
    FIRECRAFT_STR("scanlines"),
    FIRECRAFT_STR("the dark lines of an old television"),
    FIRECRAFT_STR("{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
                  "\"period\":{\"type\":\"integer\",\"minimum\":2,\"maximum\":1024,\"default\":4},"
                  "\"depth\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1,\"default\":0.5}},"
                  "\"examples\":[{},{\"period\":2,\"depth\":1}]}"),
    create,
    free,
    &TABLE.head,
};

static const FirecraftClass *class_at(size_t index) { return index == 0 ? &CLASS : NULL; }

static const FirecraftEntry ENTRY = {
    FIRECRAFT_HEAD(FirecraftEntry),
    FIRECRAFT_STR("org.firecraft.scanlines"),
    FIRECRAFT_STR("0.1.0"),
    1,
    class_at,
    NULL,
};

const FirecraftEntry *firecraft_plugin_entry(const FirecraftHost *host) {
  return host->head.major == FIRECRAFT_MAJOR ? &ENTRY : NULL;
}
