/* A program that is over at once: what is measured is what tracing adds to its start and end. */
static __attribute__((noinline)) int nothing(void)
{
    return 0;
}

int main(void)
{
    return nothing();
}
