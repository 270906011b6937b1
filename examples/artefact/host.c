/* A host without Python: loads a compiled program by IREE's runtime, calls init, and hands the state from step to step.
 *
 *     host FILE.vmfb X.bin 32x28x28x1 Y.bin [STEPS [RATE [DEVICE]]]
 *
 * X.bin is a batch of float32 and Y.bin its int32 labels, as bytes; the shape is that of `x` in FILE.vmfb.json. init's
 * results are the state: they go into train_step first, and come out first. What comes after them is the loss, and
 * other numbers that the manifest names. */
#include <stdio.h>
#include <stdlib.h>

#include "iree/runtime/api.h"

typedef struct {
    iree_hal_dim_t shape[8];
    iree_host_size_t rank, bytes;
    void *data;
} array;

static void stop(const char *wanted, const char *got)
{
    fprintf(stderr, "wants %s, got %s\n", wanted, got);
    exit(1);
}

static void check(iree_status_t status)
{
    if (iree_status_is_ok(status))
        return;
    iree_status_fprint(stderr, status);
    exit(1);
}

/* A file of 4-byte numbers in a shape such as 32x28x28x1. */
static array read_array(const char *path, const char *shape)
{
    array a = {.bytes = 4};
    for (char *end; *shape; shape = *end ? end + 1 : end) {
        a.shape[a.rank] = (iree_hal_dim_t)strtoul(shape, &end, 10);
        if (end == shape || a.rank == 7 || (*end && *end != 'x'))
            stop("a shape such as 32x28x28x1", shape);
        a.bytes *= a.shape[a.rank++];
    }
    FILE *file = fopen(path, "rb");
    a.data = malloc(a.bytes);
    if (!file || !a.data || fread(a.data, 1, a.bytes, file) != a.bytes)
        stop("a file with as many numbers as the shape has", path);
    fclose(file);
    return a;
}

/* Copies a value of the host to the device, as the next argument of a call. */
static void push(iree_runtime_call_t *call, const array *a, iree_hal_element_type_t type)
{
    iree_hal_buffer_view_t *view = NULL;
    const iree_hal_buffer_params_t where = {
        .type = IREE_HAL_MEMORY_TYPE_DEVICE_LOCAL,
        .access = IREE_HAL_MEMORY_ACCESS_ALL,
        .usage = IREE_HAL_BUFFER_USAGE_DEFAULT,
    };
    check(iree_hal_buffer_view_allocate_buffer_copy(
        iree_runtime_session_device(call->session), iree_runtime_session_device_allocator(call->session), a->rank, a->shape,
        type, IREE_HAL_ENCODING_TYPE_DENSE_ROW_MAJOR, where, iree_make_const_byte_span(a->data, a->bytes), &view));
    check(iree_runtime_call_inputs_push_back_buffer_view(call, view));
    iree_hal_buffer_view_release(view);
}

/* Takes the next `count` results over; they stay where they are, on the device. */
static void pop(iree_runtime_call_t *call, iree_hal_buffer_view_t **views, iree_host_size_t count)
{
    for (iree_host_size_t n = 0; n < count; n++)
        check(iree_runtime_call_outputs_pop_front_buffer_view(call, &views[n]));
}

int main(int argc, char **argv)
{
    if (argc < 5)
        stop("FILE.vmfb X.bin SHAPE Y.bin [STEPS [RATE [DEVICE]]]", "less");
    const array x = read_array(argv[2], argv[3]);
    char batch[32];
    snprintf(batch, sizeof batch, "%llu", (unsigned long long)x.shape[0]);
    const array y = read_array(argv[4], batch);
    const int steps = argc > 5 ? atoi(argv[5]) : 3;
    float rate = argc > 6 ? strtof(argv[6], NULL) : 0.05f;
    const char *driver = argc > 7 ? argv[7] : "local-task";

    iree_runtime_instance_options_t instance_options;
    iree_runtime_instance_options_initialize(&instance_options);
    iree_runtime_instance_options_use_all_available_drivers(&instance_options);
    iree_runtime_instance_t *instance = NULL;
    check(iree_runtime_instance_create(&instance_options, iree_allocator_system(), &instance));
    iree_hal_device_t *device = NULL;
    check(iree_runtime_instance_try_create_default_device(instance, iree_make_cstring_view(driver), &device));
    iree_runtime_session_options_t session_options;
    iree_runtime_session_options_initialize(&session_options);
    iree_runtime_session_t *session = NULL;
    check(iree_runtime_session_create_with_device(instance, &session_options, device,
                                                  iree_runtime_instance_host_allocator(instance), &session));
    check(iree_runtime_session_append_bytecode_module_from_file(session, argv[1]));

    uint32_t words[2] = {0, 7}; /* the seed 7, high word first */
    const array seed = {.shape = {2}, .rank = 1, .bytes = sizeof words, .data = words};
    const array lr = {.rank = 0, .bytes = sizeof rate, .data = &rate};
    iree_runtime_call_t init, step;
    check(iree_runtime_call_initialize_by_name(session, iree_make_cstring_view("module.init"), &init));
    push(&init, &seed, IREE_HAL_ELEMENT_TYPE_UINT_32);
    check(iree_runtime_call_invoke(&init, 0));
    const iree_host_size_t held = iree_vm_list_size(iree_runtime_call_outputs(&init));
    iree_hal_buffer_view_t **state = calloc(held, sizeof *state), *metric = NULL;
    if (!state)
        stop("more memory", "none");
    pop(&init, state, held);
    iree_runtime_call_deinitialize(&init);

    check(iree_runtime_call_initialize_by_name(session, iree_make_cstring_view("module.train_step"), &step));
    /* a large step computes in memory that it is given behind its arguments */
    const iree_string_view_t wanted = iree_vm_function_lookup_attr_by_name(
        &step.function, iree_make_cstring_view("iree.abi.transients.size.constant"));
    iree_hal_buffer_t *scratch = NULL;
    uint64_t size = 0;
    if (iree_string_view_atoi_uint64(wanted, &size)) {
        const iree_hal_buffer_params_t kind = {.usage = IREE_HAL_BUFFER_USAGE_DEFAULT,
                                               .type = IREE_HAL_MEMORY_TYPE_DEVICE_LOCAL};
        check(iree_hal_allocator_allocate_buffer(iree_hal_device_allocator(device), kind, size, &scratch));
    }
    for (int n = 0; n < steps; n++) {
        iree_runtime_call_reset(&step);
        for (iree_host_size_t i = 0; i < held; i++) {
            check(iree_runtime_call_inputs_push_back_buffer_view(&step, state[i]));
            iree_hal_buffer_view_release(state[i]);
        }
        push(&step, &x, IREE_HAL_ELEMENT_TYPE_FLOAT_32);
        push(&step, &y, IREE_HAL_ELEMENT_TYPE_SINT_32);
        push(&step, &lr, IREE_HAL_ELEMENT_TYPE_FLOAT_32);
        if (scratch) {
            iree_vm_ref_t given = iree_hal_buffer_retain_ref(scratch);
            check(iree_vm_list_push_ref_move(iree_runtime_call_inputs(&step), &given));
        }
        check(iree_runtime_call_invoke(&step, 0));
        pop(&step, state, held);
        float loss;
        pop(&step, &metric, 1);
        check(iree_hal_device_transfer_d2h(device, iree_hal_buffer_view_buffer(metric), 0, &loss, sizeof loss,
                                           IREE_HAL_TRANSFER_BUFFER_FLAG_DEFAULT, iree_infinite_timeout()));
        iree_hal_buffer_view_release(metric);
        printf("step %d loss %.9g\n", n, (double)loss);
    }

    iree_runtime_call_deinitialize(&step);
    iree_hal_buffer_release(scratch);
    for (iree_host_size_t i = 0; i < held; i++)
        iree_hal_buffer_view_release(state[i]);
    free(state);
    free(x.data);
    free(y.data);
    iree_runtime_session_release(session);
    iree_hal_device_release(device);
    iree_runtime_instance_release(instance);
    return 0;
}
