/* Reading the parameters of a plugin: a flat JSON object of numbers. */
#ifndef FIRECRAFT_EXAMPLE_PARAMS_H
#define FIRECRAFT_EXAMPLE_PARAMS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "firecraft_plugin.h"

typedef struct Param {
  const char *name;
  double *value;
  double least, greatest;
  int required;
  int found;
} Param;

static const char *skip_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')) {
    at++;
  }
  return at;
}

static FirecraftStatus bad_params(const FirecraftSink *error, const char *what, const char *name,
                                  size_t len) {
  char message[160];
  snprintf(message, sizeof message, "%s `%.*s`", what, (int)(len < 80 ? len : 80), name);
  return firecraft_fail(error, message);
}

/* Fills in what is given and refuses what is unknown, no number, or out of
 * range. */
static FirecraftStatus read_params(FirecraftStr text, Param *params, size_t count,
                                   const FirecraftSink *error) {
  const char *at = (const char *)text.ptr;
  const char *end = at + text.len;
  at = skip_space(at, end);
  if (at == end || *at++ != '{') {
    return firecraft_fail(error, "expected a JSON object");
  }
  at = skip_space(at, end);
  while (at < end && *at != '}') {
    const char *name = at + 1;
    if (*at != '"') {
      return firecraft_fail(error, "expected a name in quotes");
    }
    const char *stop = memchr(name, '"', (size_t)(end - name));
    if (stop == NULL) {
      return firecraft_fail(error, "a name without an end");
    }
    size_t len = (size_t)(stop - name);
    at = skip_space(stop + 1, end);
    if (at == end || *at++ != ':') {
      return bad_params(error, "no value for", name, len);
    }
    at = skip_space(at, end);
    char digits[64];
    size_t n = 0;
    while (at < end && n + 1 < sizeof digits && *at != 0 &&
           strchr("+-.0123456789eE", *at) != NULL) {
      digits[n++] = *at++;
    }
    digits[n] = 0;
    char *parsed;
    double value = strtod(digits, &parsed);
    if (n == 0 || *parsed != 0) {
      return bad_params(error, "expected a number for", name, len);
    }
    Param *param = NULL;
    for (size_t i = 0; i < count; i++) {
      if (strlen(params[i].name) == len && memcmp(params[i].name, name, len) == 0) {
        param = &params[i];
      }
    }
    if (param == NULL) {
      return bad_params(error, "unknown field", name, len);
    }
    if (!(value >= param->least && value <= param->greatest)) {
      return bad_params(error, "out of range:", name, len);
    }
    *param->value = value;
    param->found = 1;
    at = skip_space(at, end);
    if (at < end && *at == ',') {
      at = skip_space(at + 1, end);
      if (at < end && *at == '}') {
        return firecraft_fail(error, "a comma before the end");
      }
    } else if (at < end && *at != '}') {
      return bad_params(error, "text after the value of", name, len);
    }
  }
  if (at == end) {
    return firecraft_fail(error, "the object has no end");
  }
  if (skip_space(at + 1, end) != end) {
    return firecraft_fail(error, "text after the object");
  }
  for (size_t i = 0; i < count; i++) {
    if (params[i].required && !params[i].found) {
      return bad_params(error, "missing field", params[i].name, strlen(params[i].name));
    }
  }
  return FIRECRAFT_STATUS_OK;
}

#endif
