/* A load generator for MQTT 3.1.1 brokers: one thread, epoll, so that it costs as little as it can of the machine
 * that it shares with the broker. bench/broker.py compiles and runs it; each run prints one line of JSON.
 *
 *   broker_load load  -p PORT [-n PAIRS] [-f SUBSCRIBERS] [-q QOS] [-w WINDOW] [-s BYTES] [-d SECONDS] [-r RATE] [-S]
 *   broker_load hold  -p PORT [-n CLIENTS] [-c AT_ONCE]
 *
 * load: each of PAIRS publishers sends to a topic of its own, which SUBSCRIBERS clients follow. Without a RATE it is
 *       a closed loop: WINDOW messages of each publisher are under way (QoS 1: not acknowledged; QoS 0: not
 *       delivered). With -S a further client subscribes to everything at QoS 1, acknowledges nothing and reads one
 *       byte a second.
 * hold: connects and subscribes CLIENTS, prints how long it took, and stays until its standard input ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum role { PUBLISHER, SUBSCRIBER, SLOW, IDLE };
enum state { CLOSED, CONNECTING, LOGGING_IN, SUBSCRIBING, READY };

struct buffer {
  uint8_t *bytes;
  size_t size, room, sent;
};

struct client {
  int fd, number, pair;
  enum role role;
  enum state state;
  int waits_for_room;
  struct buffer in, out;
  uint16_t packet_id;
  long unacknowledged;
};

struct pair {
  long sent, delivered;
  double due;
};

static int epoll_fd, port = 1883, pairs = 10, fan = 1, qos = 1, window = 20, at_once = 64, with_slow;
static int payload_size = 100, ready;
static double seconds = 2, rate;
static long sent, delivered, acknowledged;
static uint32_t *latencies;
static size_t measured, room_for_latencies;
static struct client *clients;
static struct pair *of_pair;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void fail(const char *what, const struct client *client) {
  fprintf(stderr, "%s (client %d, role %d): %s\n", what, client ? client->number : -1,
          client ? (int)client->role : -1, strerror(errno));
  exit(1);
}

static void make_room(struct buffer *buffer, size_t wanted) {
  if (wanted <= buffer->room) return;
  buffer->room = wanted * 2;
  buffer->bytes = realloc(buffer->bytes, buffer->room);
  if (!buffer->bytes) fail("no memory", NULL);
}

static void append(struct buffer *buffer, const void *bytes, size_t size) {
  make_room(buffer, buffer->size + size);
  memcpy(buffer->bytes + buffer->size, bytes, size);
  buffer->size += size;
}

static void watch(struct client *client, int operation, int for_room) {
  struct epoll_event event = {.events = EPOLLIN | (for_room ? EPOLLOUT : 0), .data.ptr = client};
  if (epoll_ctl(epoll_fd, operation, client->fd, &event)) fail("epoll_ctl", client);
  client->waits_for_room = for_room;
}

static void flush(struct client *client) {
  struct buffer *out = &client->out;
  while (out->sent < out->size) {
    ssize_t count = write(client->fd, out->bytes + out->sent, out->size - out->sent);
    if (count < 0) {
      if (errno == EAGAIN) break;
      fail("write", client);
    }
    out->sent += (size_t)count;
  }
  if (out->sent == out->size) out->sent = out->size = 0;
  if ((out->size > 0) != client->waits_for_room) watch(client, EPOLL_CTL_MOD, out->size > 0);
}

/* -- packets */

static size_t put_string(uint8_t *at, const char *text) {
  size_t size = strlen(text);
  at[0] = (uint8_t)(size >> 8);
  at[1] = (uint8_t)size;
  memcpy(at + 2, text, size);
  return size + 2;
}

static void put_packet(struct client *client, uint8_t first, const uint8_t *body, size_t size) {
  uint8_t head[5] = {first};
  size_t count = 1, left = size;
  do {
    head[count] = left & 127;
    left >>= 7;
    if (left) head[count] |= 128;
    count++;
  } while (left);
  append(&client->out, head, count);
  append(&client->out, body, size);
}

static void put_connect(struct client *client) {
  uint8_t body[64];
  char name[24];
  size_t size = put_string(body, "MQTT");
  body[size++] = 4;    /* MQTT 3.1.1 */
  body[size++] = 2;    /* a clean session */
  body[size++] = 0;    /* and no keep-alive */
  body[size++] = 0;
  snprintf(name, sizeof name, "%c%d", "pswi"[client->role], client->number);
  size += put_string(body + size, name);
  put_packet(client, 0x10, body, size);
  client->state = LOGGING_IN;
}

static void topic_of(const struct client *client, char *topic, size_t room) {
  if (client->role == IDLE)
    snprintf(topic, room, "idle/%d", client->number);
  else if (client->role == SLOW)
    snprintf(topic, room, "load/+");
  else
    snprintf(topic, room, "load/%d", client->pair);
}

static void put_subscribe(struct client *client) {
  uint8_t body[64] = {0, 1};
  char topic[32];
  topic_of(client, topic, sizeof topic);
  size_t size = 2 + put_string(body + 2, topic);
  body[size++] = client->role == SLOW ? 1 : (uint8_t)qos;
  put_packet(client, 0x82, body, size);
  client->state = SUBSCRIBING;
}

static void put_publish(struct client *client) {
  static uint8_t body[70000];
  char topic[32];
  topic_of(client, topic, sizeof topic);
  size_t size = put_string(body, topic);
  if (qos) {
    client->packet_id = (uint16_t)(client->packet_id % 60000 + 1);
    body[size++] = (uint8_t)(client->packet_id >> 8);
    body[size++] = (uint8_t)client->packet_id;
  }
  double time = now();
  memcpy(body + size, &time, sizeof time);
  memset(body + size + sizeof time, 'x', (size_t)payload_size - sizeof time);
  put_packet(client, (uint8_t)(0x30 | qos << 1), body, size + (size_t)payload_size);
  client->unacknowledged++;
  of_pair[client->pair].sent++;
  sent++;
}

static void on_publish(struct client *client, uint8_t first, const uint8_t *body) {
  size_t at = 2 + (size_t)(body[0] << 8 | body[1]);
  if (first >> 1 & 3) {
    put_packet(client, 0x40, body + at, 2);
    at += 2;
  }
  double time;
  memcpy(&time, body + at, sizeof time);
  of_pair[client->pair].delivered++;
  delivered++;
  if (measured < room_for_latencies) latencies[measured++] = (uint32_t)((now() - time) * 1e6);
}

static void on_packet(struct client *client, uint8_t first, const uint8_t *body) {
  switch (first >> 4) {
    case 2: /* CONNACK */
      if (body[1]) fail("the broker refused a connection", client);
      if (client->role == PUBLISHER) {
        client->state = READY;
        ready++;
      } else {
        put_subscribe(client);
      }
      break;
    case 9: /* SUBACK */
      if (body[2] & 0x80) fail("the broker refused a subscription", client);
      client->state = READY;
      ready++;
      break;
    case 4: /* PUBACK */
      client->unacknowledged--;
      acknowledged++;
      break;
    case 3:
      on_publish(client, first, body);
      break;
    default:
      break;
  }
}

static void receive(struct client *client) {
  struct buffer *in = &client->in;
  size_t chunk = client->role == IDLE ? 512 : 65536;
  make_room(in, in->size + chunk);
  ssize_t count = read(client->fd, in->bytes + in->size, chunk);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) fail("the broker closed a connection", client);
  in->size += (size_t)count;
  size_t at = 0;
  while (in->size - at >= 2) {
    size_t length = 0, shift = 0, place = at + 1;
    int whole = 0;
    while (place < in->size && !whole) {
      length |= (size_t)(in->bytes[place] & 127) << shift;
      shift += 7;
      whole = !(in->bytes[place++] & 128);
    }
    if (!whole || in->size - place < length) break;
    on_packet(client, in->bytes[at], in->bytes + place);
    at = place + length;
  }
  memmove(in->bytes, in->bytes + at, in->size - at);
  in->size -= at;
  flush(client);
}

/* -- connections */

static void open_client(struct client *client) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int one = 1, few = 2048;
  /* No TIME_WAIT: thousands of connections come and go within one run. */
  struct linger at_once_gone = {.l_onoff = 1, .l_linger = 0};
  client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (client->fd < 0) fail("socket", client);
  setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once_gone, sizeof at_once_gone);
  setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (client->role == SLOW) setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
  if (connect(client->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
    fail("connect", client);
  client->state = CONNECTING;
  watch(client, EPOLL_CTL_ADD, 1);
}

static void poll_once(int milliseconds) {
  struct epoll_event events[256];
  int count = epoll_wait(epoll_fd, events, 256, milliseconds);
  for (int i = 0; i < count; i++) {
    struct client *client = events[i].data.ptr;
    if (client->state == CONNECTING) {
      int error = 0;
      socklen_t size = sizeof error;
      getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size);
      errno = error;
      if (error) fail("connect", client);
      put_connect(client);
      flush(client);
      continue;
    }
    if (events[i].events & EPOLLOUT) flush(client);
    if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(client);
  }
}

static double connect_all(struct client *first, int count) {
  double began = now();
  int opened = 0, before = ready;
  while (ready - before < count) {
    while (opened < count && opened - (ready - before) < at_once) open_client(first + opened++);
    poll_once(100);
    if (now() - began > 120) fail("connections are not made", NULL);
  }
  return now() - began;
}

/* -- load */

static int may_send(const struct client *client) {
  const struct pair *pair = of_pair + client->pair;
  if (qos) return client->unacknowledged < window;
  return pair->sent * fan - pair->delivered < (long)window * fan;
}

static void send_due(struct client *client, double time) {
  struct pair *pair = of_pair + client->pair;
  int count = 0;
  if (rate > 0)
    for (; pair->due <= time && count < 1000; count++, pair->due += pairs / rate) put_publish(client);
  else
    for (; count < window && may_send(client); count++) put_publish(client);
  if (count) flush(client);
}

static int by_size(const void *one, const void *other) {
  uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
  return a < b ? -1 : a > b;
}

static uint32_t percentile(double share) {
  return measured ? latencies[(size_t)((double)(measured - 1) * share)] : 0;
}

static void load(void) {
  int count = pairs * (1 + fan) + with_slow;
  clients = calloc((size_t)count, sizeof *clients);
  of_pair = calloc((size_t)pairs, sizeof *of_pair);
  room_for_latencies = 8000000;
  latencies = malloc(room_for_latencies * sizeof *latencies);
  for (int i = 0; i < count; i++) {
    clients[i].number = i;
    clients[i].role = i < pairs ? PUBLISHER : i < pairs * (1 + fan) ? SUBSCRIBER : SLOW;
    clients[i].pair = i % pairs;
  }
  connect_all(clients, count);
  struct client *slow = with_slow ? clients + count - 1 : NULL;
  if (slow) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, slow->fd, NULL);
  double began = now(), warm = began + 0.3, end = warm + seconds, next_byte = began;
  for (int i = 0; i < pairs; i++) of_pair[i].due = rate > 0 ? began + i / rate : began;
  int warming = 1;
  long counted_from = 0, sent_from = 0;
  for (double time = began; time < end; time = now()) {
    if (warming && time >= warm) {
      warming = 0;
      measured = 0;
      counted_from = delivered;
      sent_from = sent;
      warm = time;
    }
    for (int i = 0; i < pairs; i++) send_due(clients + i, time);
    if (slow && time >= next_byte) {
      char byte;
      if (read(slow->fd, &byte, 1) == 0) fail("the broker closed the slow client", slow);
      next_byte = time + 1;
    }
    poll_once(rate > 0 ? 1 : 0);
  }
  double lasted = now() - warm;
  long counted = delivered - counted_from, published = sent - sent_from;
  size_t within = measured;
  for (double until = now() + 10; delivered < sent * fan && now() < until;) poll_once(10);
  measured = within;
  qsort(latencies, measured, sizeof *latencies, by_size);
  printf("{\"published\":%.0f,\"delivered\":%.0f,\"p50_us\":%u,\"p99_us\":%u,\"slowest_us\":%u,\"sent\":%ld,"
         "\"lost\":%ld}\n",
         (double)published / lasted, (double)counted / lasted, percentile(0.5), percentile(0.99), percentile(1),
         sent, sent * fan - delivered);
}

static void hold(void) {
  clients = calloc((size_t)pairs, sizeof *clients);
  for (int i = 0; i < pairs; i++) {
    clients[i].number = i;
    clients[i].role = IDLE;
  }
  double took = connect_all(clients, pairs);
  printf("{\"clients\":%d,\"seconds\":%.3f,\"connects\":%.0f}\n", pairs, took, pairs / took);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
}

int main(int count, char **arguments) {
  int option;
  if (count < 2) return 2;
  const char *mode = arguments[1];
  optind = 2;
  while ((option = getopt(count, arguments, "p:n:f:q:w:s:d:r:c:S")) != -1) {
    switch (option) {
      case 'p': port = atoi(optarg); break;
      case 'n': pairs = atoi(optarg); break;
      case 'f': fan = atoi(optarg); break;
      case 'q': qos = atoi(optarg); break;
      case 'w': window = atoi(optarg); break;
      case 's': payload_size = atoi(optarg); break;
      case 'd': seconds = atof(optarg); break;
      case 'r': rate = atof(optarg); break;
      case 'c': at_once = atoi(optarg); break;
      case 'S': with_slow = 1; break;
      default: return 2;
    }
  }
  if (payload_size < 8 || payload_size > 60000) return 2;
  epoll_fd = epoll_create1(0);
  if (!strcmp(mode, "hold"))
    hold();
  else
    load();
  return 0;
}
