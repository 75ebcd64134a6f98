/*
 * Fault points: where a test may kill a helper (src/helper/cdc_fault.c).
 *
 * They exist only when CDC_FAULTS is defined ("make FAULTS=1"); otherwise
 * nothing of them is left in the binary.  Any thread.
 */

#ifndef CDC_FAULT_H_INCLUDED
#define CDC_FAULT_H_INCLUDED


#ifdef CDC_FAULTS

/* once, before anything else runs: another life of this role has begun */
void cdc_fault_open(const char *role);

/* may not return; a name that is not in the table of cdc_fault.c aborts */
void cdc_fault(const char *point);

#define CDC_FAULT_OPEN(role)  cdc_fault_open(role)
#define CDC_FAULT(point)      cdc_fault(point)

#else

#define CDC_FAULT_OPEN(role)  ((void) 0)
#define CDC_FAULT(point)      ((void) 0)

#endif


#endif /* CDC_FAULT_H_INCLUDED */
