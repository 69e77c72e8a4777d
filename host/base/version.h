/* version.h - the one place that says which tidemill this is. */
#ifndef TM_BASE_VERSION_H
#define TM_BASE_VERSION_H

#define TM_VERSION "0.1.0"

#endif
