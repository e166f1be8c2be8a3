// The few types and numbers of NVIDIA's management library (NVML API reference, "nvml.h") that the probe needs,
// written out here because nothing of NVIDIA's is needed to build. Sizes are asserted.
#ifndef LINNET_NVML_LAYOUTS_H
#define LINNET_NVML_LAYOUTS_H

#include <assert.h>

typedef struct linnet_nvml_device *linnet_nvml_device;

enum {
  LINNET_NVML_SUCCESS = 0,
  LINNET_NVML_NOT_SUPPORTED = 3,
  LINNET_NVML_INSUFFICIENT_SIZE = 7,
};

/// nvmlMemory_t
typedef struct {
  unsigned long long total, free, used;
} linnet_nvml_memory;
static_assert(sizeof(linnet_nvml_memory) == 24, "nvmlMemory_t");

/// nvmlMemory_v2_t
typedef struct {
  unsigned int version;
  unsigned long long total, reserved, free, used;
} linnet_nvml_memory_v2;
static_assert(sizeof(linnet_nvml_memory_v2) == 40, "nvmlMemory_v2_t");

/// Struct size and, in the top byte, version 2: how NVML marks its versioned structs.
#define LINNET_NVML_MEMORY_V2_VERSION 0x02000028u

/// nvmlPciInfo_t as filled by nvmlDeviceGetPciInfo_v3
typedef struct {
  char bus_id_legacy[16];
  unsigned int domain, bus, device, pci_device_id, pci_subsystem_id;
  char bus_id[32];
} linnet_nvml_pci_info;
static_assert(sizeof(linnet_nvml_pci_info) == 68, "nvmlPciInfo_t");

/// nvmlUtilization_t, per cent
typedef struct {
  unsigned int gpu, memory;
} linnet_nvml_utilization;
static_assert(sizeof(linnet_nvml_utilization) == 8, "nvmlUtilization_t");

#endif
