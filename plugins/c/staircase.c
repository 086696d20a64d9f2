/* Example plugin in C: a learning rate that goes down a step with each
 * evaluation.
 *
 *   [schedule]
 *   type = "staircase"
 *   start = 0.01
 *   ratio = 0.9
 *
 * The value is start · ratio^n after n evaluations, at least `floor`. */

#include "params.h"

typedef struct Staircase {
  double start, ratio, floor;
  double value;
} Staircase;

static FirecraftStatus create(FirecraftStr params, void **instance, const FirecraftSink *error) {
  Staircase made = {0, 0.9, 0, 0};
  Param known[] = {
      {"start", &made.start, 0, 1e9, 1, 0},
      {"ratio", &made.ratio, 0, 1, 0, 0},
      {"floor", &made.floor, 0, 1e9, 0, 0},
  };
  FirecraftStatus status = read_params(params, known, 3, error);
  if (status != FIRECRAFT_STATUS_OK) {
    return status;
  }
  made.value = made.start;
  Staircase *kept = malloc(sizeof *kept);
  if (kept == NULL) {
    return firecraft_fail(error, "out of memory");
  }
  *kept = made;
  *instance = kept;
  return FIRECRAFT_STATUS_OK;
}

static FirecraftStatus step(void *instance, const FirecraftStepContext *context, double *values,
                            size_t count, const FirecraftSink *error) {
  Staircase *self = instance;
  (void)error;
  if (context->flags & FIRECRAFT_STEP_FLAGS_METRIC) {
    self->value *= self->ratio;
  }
  for (size_t i = 0; i < count; i++) {
    values[i] = self->value > self->floor ? self->value : self->floor;
  }
  return FIRECRAFT_STATUS_OK;
}

/* The value's eight bytes, which keep every bit of it. */
static FirecraftStatus save(const void *instance, const FirecraftSink *state,
                            const FirecraftSink *error) {
  const Staircase *self = instance;
  if (state->write(state->ctx, (const uint8_t *)&self->value, sizeof self->value) !=
      FIRECRAFT_STATUS_OK) {
    return firecraft_fail(error, "the host takes no state");
  }
  return FIRECRAFT_STATUS_OK;
}

static FirecraftStatus load(void *instance, uint32_t version, const uint8_t *state, size_t len,
                            const FirecraftSink *error) {
  Staircase *self = instance;
  double value;
  if (version != 1 || len != sizeof value) {
    return firecraft_fail(error, "not a state of this scheduler");
  }
  memcpy(&value, state, sizeof value);
  if (!(value >= 0 && value <= self->start)) {
    return firecraft_fail(error, "a state that this schedule can't be in");
  }
  self->value = value;
  return FIRECRAFT_STATUS_OK;
}

static const FirecraftSchedulerTable TABLE = {
    FIRECRAFT_HEAD(FirecraftSchedulerTable),
    step,
    save,
    load,
};

static const FirecraftClass CLASS = {
    FIRECRAFT_HEAD(FirecraftClass),
    FIRECRAFT_CLASS_KIND_SCHEDULER,
    FIRECRAFT_CLASS_FLAGS_NONE,
    0,
    1,
    FIRECRAFT_STR("staircase"),
    FIRECRAFT_STR("goes down a step with each evaluation"),
    FIRECRAFT_STR("{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
                  "\"start\":{\"type\":\"number\",\"minimum\":0},"
                  "\"ratio\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1,\"default\":0.9},"
                  "\"floor\":{\"type\":\"number\",\"minimum\":0,\"default\":0}},"
                  "\"required\":[\"start\"],\"examples\":[{\"start\":0.01}]}"),
    create,
    free,
    &TABLE.head,
};

static const FirecraftClass *class_at(size_t index) { return index == 0 ? &CLASS : NULL; }

static const FirecraftEntry ENTRY = {
    FIRECRAFT_HEAD(FirecraftEntry),
    FIRECRAFT_STR("org.firecraft.staircase"),
    FIRECRAFT_STR("0.1.0"),
    1,
    class_at,
    NULL,
};

const FirecraftEntry *firecraft_plugin_entry(const FirecraftHost *host) {
  return host->head.major == FIRECRAFT_MAJOR ? &ENTRY : NULL;
}
