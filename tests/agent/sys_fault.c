/* No system call is made to fail: what a test gets that does not define its own. */
#include "agent/life/sys.h"

long sys_fault(long number)
{
    (void)number;
    return 0;
}
