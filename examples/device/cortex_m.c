/* A Cortex-M with an FPU, nothing else: vectors, start, and semihosting, by which lines reach the debugger or emulator
 * (Arm, Semihosting for AArch32 and AArch64, 2.0: SYS_WRITE0 and SYS_EXIT). */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

extern uint32_t data_from[], data_begin[], data_end[], bss_begin[], bss_end[], stack_begin[], stack_top[];
int main(void);
void say(const char *line);
void start(void);
static void fault(void);

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    stack_top, (void *)start, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
};

static void host(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

void say(const char *line)
{
    host(4, line);
    host(4, "\n");
}

static void end(uint32_t why)
{
    for (;;)
        host(0x18, (const void *)why);
}

static void fault(void)
{
    say("fault");
    end(0x20023); /* ADP_Stopped_RunTimeErrorUnknown */
}

enum { UNTOUCHED = 0x5AFE5AFE };

static void say_stack(void)
{
    const uint32_t *lowest = stack_begin;
    while (*lowest == UNTOUCHED)
        lowest++;
    const uint32_t used = (uint32_t)((const char *)stack_top - (const char *)lowest);
    char line[] = "stack 00000000";
    for (int n = 0; n < 8; n++)
        line[6 + n] = "0123456789abcdef"[used >> (28 - 4 * n) & 15u];
    say(line);
}

void start(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: the FPU for all */
    __asm__ volatile("dsb\n isb");
    for (uint32_t *to = data_begin, *from = data_from; to < data_end;)
        *to++ = *from++;
    for (uint32_t *to = bss_begin; to < bss_end;)
        *to++ = 0;
    uint32_t *here;
    __asm__ volatile("mov %0, sp" : "=r"(here));
    for (uint32_t *at = stack_begin; at < here;)
        *at++ = UNTOUCHED;
    main();
    say_stack();
    end(0x20026); /* ADP_Stopped_ApplicationExit */
}
