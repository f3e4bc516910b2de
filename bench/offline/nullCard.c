/*
 * A Vulkan driver that compiles for a card which is not there: Mesa's radv with RADV_FORCE_FAMILY, whose command buffers, memory and queues do nothing
 * without hardware. This wrapper answers for those, so that Dawn opens a device and makes pipelines. Nothing runs; buffers hold whatever malloc gave.
 * Built and used by kernels.ts.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

typedef PFN_vkVoidFunction (*Lookup)(VkInstance, const char *);

static void *radv;
static Lookup instance_lookup;
static PFN_vkGetDeviceProcAddr device_lookup;
static PFN_vkCreateBuffer create_buffer;
static PFN_vkGetPhysicalDeviceMemoryProperties memory_properties;
static PFN_vkGetPhysicalDeviceMemoryProperties2 memory_properties2;

static void load(void) {
  if (instance_lookup) return;
  radv = dlopen("libvulkan_radeon.so", RTLD_NOW);
  if (!radv) { fprintf(stderr, "%s\n", dlerror()); abort(); }
  instance_lookup = (Lookup)dlsym(radv, "vk_icdGetInstanceProcAddr");
}

/* VK_SUCCESS, or nothing. */
static uint64_t done(void) { return 0; }

static const char *const IDLE[] = {
  "vkBeginCommandBuffer", "vkEndCommandBuffer", "vkResetCommandBuffer", "vkResetCommandPool", "vkQueueSubmit", "vkQueueSubmit2", "vkQueueSubmit2KHR",
  "vkQueueWaitIdle", "vkDeviceWaitIdle", "vkWaitForFences", "vkGetFenceStatus", "vkResetFences", "vkDestroyFence", "vkDestroySemaphore", "vkWaitSemaphores",
  "vkUpdateDescriptorSets", "vkBindBufferMemory", "vkBindBufferMemory2", "vkBindBufferMemory2KHR", "vkUnmapMemory", "vkFlushMappedMemoryRanges",
  "vkInvalidateMappedMemoryRanges", 0,
};
static int idle(const char *name) {
  if (!strncmp(name, "vkCmd", 5)) return 1;
  for (int i = 0; IDLE[i]; i++) if (!strcmp(name, IDLE[i])) return 1;
  return 0;
}

/* Sizes of buffers by handle. */
enum { SLOTS = 1 << 16 };
static struct { uint64_t handle, size; } sizes[SLOTS];
static uint32_t slot(uint64_t handle) {
  uint32_t i = (uint32_t)(handle >> 4) % SLOTS;
  while (sizes[i].handle && sizes[i].handle != handle) i = (i + 1) % SLOTS;
  return i;
}
static VkResult makeBuffer(VkDevice d, const VkBufferCreateInfo *info, const VkAllocationCallbacks *a, VkBuffer *buffer) {
  VkResult result = create_buffer(d, info, a, buffer);
  uint32_t i = slot((uint64_t)*buffer);
  sizes[i].handle = (uint64_t)*buffer;
  sizes[i].size = info->size;
  return result;
}
static void needs(VkDevice d, VkBuffer buffer, VkMemoryRequirements *r) {
  r->size = (sizes[slot((uint64_t)buffer)].size + 255) & ~255ull;
  r->alignment = 256;
  r->memoryTypeBits = 3;
}
static void needs2(VkDevice d, const VkBufferMemoryRequirementsInfo2 *info, VkMemoryRequirements2 *r) { needs(d, info->buffer, &r->memoryRequirements); }
static VkResult takeMemory(VkDevice d, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *a, VkDeviceMemory *m) {
  *m = (VkDeviceMemory)malloc(info->allocationSize + 64);
  return *m ? VK_SUCCESS : VK_ERROR_OUT_OF_HOST_MEMORY;
}
static void freeMemory(VkDevice d, VkDeviceMemory m, const VkAllocationCallbacks *a) { free((void *)m); }
static VkResult mapMemory(VkDevice d, VkDeviceMemory m, VkDeviceSize offset, VkDeviceSize size, VkMemoryMapFlags f, void **at) {
  *at = (char *)m + offset;
  return VK_SUCCESS;
}
static VkResult makeHandle(VkDevice d, const void *info, const void *a, uint64_t *handle) {
  static uint64_t next = 0x1000;
  *handle = next += 16;
  return VK_SUCCESS;
}
/* What is always ready to be read: a fence that is signalled. */
static VkResult fenceFd(VkDevice d, const void *info, int *fd) {
  *fd = open("/dev/null", O_RDONLY);
  return VK_SUCCESS;
}

/* One heap of 64 GiB, seen by the card alone and by both. */
static void oneHeap(VkPhysicalDeviceMemoryProperties *p) {
  p->memoryTypeCount = 2;
  p->memoryHeapCount = 1;
  p->memoryHeaps[0].size = 64ull << 30;
  p->memoryHeaps[0].flags = VK_MEMORY_HEAP_DEVICE_LOCAL_BIT;
  for (int i = 0; i < 2; i++) { p->memoryTypes[i].heapIndex = 0; p->memoryTypes[i].propertyFlags = i ? 15 : 1; }
}
static void memoryOf(VkPhysicalDevice d, VkPhysicalDeviceMemoryProperties *p) { memory_properties(d, p); oneHeap(p); }
static void memoryOf2(VkPhysicalDevice d, VkPhysicalDeviceMemoryProperties2 *p) { memory_properties2(d, p); oneHeap(&p->memoryProperties); }

#define ANSWER(NAME, FUNCTION) if (!strcmp(name, NAME)) return (PFN_vkVoidFunction)FUNCTION
static PFN_vkVoidFunction answer(const char *name, PFN_vkVoidFunction real) {
  if (!real) return 0;
  if (!strcmp(name, "vkCreateBuffer")) { create_buffer = (PFN_vkCreateBuffer)real; return (PFN_vkVoidFunction)makeBuffer; }
  ANSWER("vkGetBufferMemoryRequirements", needs);
  ANSWER("vkGetBufferMemoryRequirements2", needs2);
  ANSWER("vkGetBufferMemoryRequirements2KHR", needs2);
  ANSWER("vkAllocateMemory", takeMemory);
  ANSWER("vkFreeMemory", freeMemory);
  ANSWER("vkMapMemory", mapMemory);
  ANSWER("vkCreateFence", makeHandle);
  ANSWER("vkCreateSemaphore", makeHandle);
  ANSWER("vkGetFenceFdKHR", fenceFd);
  return idle(name) ? (PFN_vkVoidFunction)done : real;
}
static PFN_vkVoidFunction ofDevice(VkDevice d, const char *name) {
  ANSWER("vkGetDeviceProcAddr", ofDevice);
  return answer(name, device_lookup(d, name));
}
PFN_vkVoidFunction vk_icdGetInstanceProcAddr(VkInstance i, const char *name) {
  load();
  PFN_vkVoidFunction real = instance_lookup(i, name);
  if (!strcmp(name, "vkGetDeviceProcAddr")) { device_lookup = (PFN_vkGetDeviceProcAddr)real; return (PFN_vkVoidFunction)ofDevice; }
  if (real && !strcmp(name, "vkGetPhysicalDeviceMemoryProperties")) { memory_properties = (PFN_vkGetPhysicalDeviceMemoryProperties)real; return (PFN_vkVoidFunction)memoryOf; }
  if (real && !strncmp(name, "vkGetPhysicalDeviceMemoryProperties2", 36)) { memory_properties2 = (PFN_vkGetPhysicalDeviceMemoryProperties2)real; return (PFN_vkVoidFunction)memoryOf2; }
  return answer(name, real);
}
PFN_vkVoidFunction vk_icdGetPhysicalDeviceProcAddr(VkInstance i, const char *name) {
  load();
  if (!strncmp(name, "vkGetPhysicalDeviceMemoryProperties", 35)) return vk_icdGetInstanceProcAddr(i, name);
  Lookup real = (Lookup)dlsym(radv, "vk_icdGetPhysicalDeviceProcAddr");
  return real ? real(i, name) : 0;
}
VkResult vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version) {
  load();
  return ((VkResult (*)(uint32_t *))dlsym(radv, "vk_icdNegotiateLoaderICDInterfaceVersion"))(version);
}
