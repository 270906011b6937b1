/* Trains the net of net.c on digits that are constants of the program (digits.h), one by one, as a small device does.
 *
 * No file, no allocation, no printf. Every line goes to `say`; numbers are hexadecimal, floats by their bits, so that
 * two machines that print the same lines have computed the same bits. */
#include <stddef.h>
#include <string.h>

#include "digits.h" /* TRAIN, TEST, PIXELS, images, labels, grey: the net's input for each level of grey */
#include "net_static.h"

#ifndef STEPS
#define STEPS TRAIN
#endif
#ifndef RATE
#define RATE 0.01f
#endif

void say(const char *line); /* of host.c or cortex_m.c */

static char line[160], *end;

static void word(const char *text)
{
    while (*text)
        *end++ = *text++;
}

static void number(const char *name, uint32_t value)
{
    word(name);
    for (int shift = 28; shift >= 0; shift -= 4)
        *end++ = "0123456789abcdef"[value >> shift & 15u];
}

static void real(const char *name, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    number(name, bits);
}

static void done(void)
{
    *end = 0;
    say(line);
    end = line;
}

static const float *image(size_t n)
{
    static float x[PIXELS];
    for (size_t i = 0; i < PIXELS; i++)
        x[i] = grey[images[n][i]];
    return x;
}

/* FNV-1a of the whole state */
static uint32_t digest(void)
{
    const unsigned char *bytes = (const unsigned char *)&net_static_memory;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < sizeof net_static_memory; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

int main(void)
{
    static const uint32_t seed[2] = {0, 7};
    end = line;
    net_init(&net_static_work, &net_static_state, seed);
    number("init digest ", digest());
    done();
    for (uint32_t step = 0; step < STEPS; step++) {
        const size_t n = step % TRAIN;
        const int32_t y = labels[n];
        float loss, correct, grad_norm, param_norm;
        net_train_step(&net_static_work, &net_static_state, image(n), &y, RATE, &loss, &correct, &grad_norm, &param_norm);
        number("step ", step);
        real(" loss ", loss);
        real(" grad_norm ", grad_norm);
        real(" param_norm ", param_norm);
        done();
    }
    float sum = 0.0f;
    uint32_t right = 0;
    for (size_t n = TRAIN; n < TRAIN + TEST; n++) {
        static const float weight = 1.0f;
        const int32_t y = labels[n];
        float loss, correct, count;
        net_eval_step(&net_static_work, &net_static_state, image(n), &y, &weight, &loss, &correct, &count);
        sum += loss;
        right += correct > 0.0f;
    }
    number("eval correct ", right);
    number(" count ", TEST);
    real(" loss ", sum / TEST);
    done();
    number("end digest ", digest());
    done();
    return 0;
}
