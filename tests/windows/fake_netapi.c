/* A netapi32.dll of the tests' own: what Windows' Server service would say, of people and files that are made up.
 *
 * The structures are those of mingw-w64's headers, compiled: nothing here knows how lanman lays them out. A caller cannot
 * tell it from Windows' DLL; what Windows itself allows, refuses and says was not recorded from any Windows.
 *
 *   Memory    Each answer is one block that ends at a page which nobody may touch, so that reading beyond it is an access
 *             violation. A block that was freed stays reserved and may not be touched either. FakeCounters counts blocks,
 *             and faults: what was freed twice or never given, a resume handle that is not the one that was left, a
 *             server's name where there should be none. FakeLog has each call and each fault as a line of text.
 *   Failures  FakeFail: the n-th call of a function from now on (each one, if n is 0) returns a status instead, before its
 *             buffer is set or after. FakeRefuse: a function refuses a level. FakePage: entries in one answer.
 *   Programs  A program that cannot call these is told by its environment: FAKE_NETAPI is "page=1 refuse=NetFileEnum:3:124
 *             fail=NetSessionEnum:1:5:0", and the file FAKE_NETAPI_REPORT has counters and log when it has ended.
 *
 *   x86_64-w64-mingw32-gcc -shared -O1 -o netapi32.dll fake_netapi.c
 */
#include <windows.h>
#include <lm.h>
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

#define EXPORT __declspec(dllexport)
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- what there is */

struct session {
    LPCWSTR client, user;
    DWORD opens, active, idle, flags;
    LPCWSTR type, transport;
    BOOL gone;
};
static struct session sessions[] = {
    {L"\\\\10.0.0.1", L"ann", 3, 70, 20, 0, L"", NULL},
    {L"\\\\10.0.0.2", L"", 0, 60, 50, SESS_GUEST, NULL, L""},
    {L"\\\\[fe80::7]", NULL, 0, 0xFFFFFFFF, 1, 0, L"Windows", L"\\Device\\NetbiosSmb"},
    {L"\\\\pc\xD83D\xDE00\xDC00", L"b\x00FC", 1, 2, 3, SESS_NOENCRYPTION, L"\xD800", L"t"},
    {L"\\\\10.0.0.1", L"bob", 0, 86400, 3600, SESS_GUEST | SESS_NOENCRYPTION, L"", L"\\Device\\NetbiosSmb"},
};

struct file {
    DWORD id, permissions, locks;
    LPCWSTR path, user;
    BOOL gone;
};
static struct file files[] = {
    {0x80000005, 0x23, 2, L"C:\\data\\\xD83D\xDE00\xDC00.txt", L"ann"},
    {6, PERM_FILE_READ, 0, L"\\PIPE\\srvsvc", L""},
    {7, PERM_FILE_READ, 0, L"C:\\data\\", NULL},
    {8, PERM_FILE_READ | PERM_FILE_WRITE, 1, L"C:\\data\\Gr\x00FC\x00DF" L"e.docx", L"ann"},
};

struct connection {
    LPCWSTR client, share;
    DWORD id, type, opens, users, time;
    LPCWSTR user;
};
static struct connection connections[] = {
    {L"\\\\10.0.0.1", L"data", 1, STYPE_DISKTREE, 2, 1, 30, L"ann"},
    {L"\\\\10.0.0.2", L"IPC$", 2, STYPE_IPC, 0, 1, 31, L""},
    {L"\\\\10.0.0.1", L"IPC$", 0xFFFFFFFF, STYPE_IPC, 1, 1, 32, NULL},
};

/* Owner S-1-5-18, no group, no SACL, a DACL of no entries: self-relative, MS-DTYP 2.4.6. */
static const BYTE descriptor[40] = {1, 0, 4, 0x80, 20, 0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 32, 0, 0, 0,
                                    1, 1, 0, 0,    0,  0, 0, 5, 18, 0, 0, 0, 2, 0, 8, 0, 0, 0, 0, 0};

struct share {
    WCHAR name[32], remark[64], path[260];
    DWORD type, permissions, max_uses, uses, flags;
    BOOL has_descriptor;
};
#define MAX_SHARES 16
static struct share shares[MAX_SHARES] = {
    {L"data", L"", L"C:\\data", STYPE_DISKTREE, 0, 0xFFFFFFFF, 1, SHI1005_FLAGS_ACCESS_BASED_DIRECTORY_ENUM, TRUE},
    {L"IPC$", L"Remote IPC", L"", STYPE_IPC | STYPE_SPECIAL, 0, 0xFFFFFFFF, 2, 0, FALSE},
    {L"C$", L"Default share", L"C:\\", STYPE_DISKTREE | STYPE_SPECIAL, 0, 0xFFFFFFFF, 0, 0, FALSE},
    {L"\x00FCmlaut", L"\xD83D\xDE00\xDC00", L"C:\\\x00FC", STYPE_DISKTREE | STYPE_TEMPORARY, 0, 5, 0, CSC_CACHE_NONE, FALSE},
};
static DWORD share_count = 4;

static WCHAR comment[64] = L"its comment";
static DWORD max_users = 16777216, announce = 240, anndelta = 3000;
static LONG disc = 15;
static BOOL hidden = TRUE;

static struct transport {
    DWORD count;
    LPCWSTR name, network;
    const char *address;
} transports[] = {
    {2, L"\\Device\\NetbiosSmb", L"000000000000", "PC              "},
    {0, L"\\Device\\NetBT_Tcpip_{1}", L"0200c0a80001", "PC              "},
};

/* As it was when the DLL was loaded. */
static struct {
    struct session sessions[COUNT(sessions)];
    struct file files[COUNT(files)];
    struct share shares[MAX_SHARES];
} first;

static void restore(BOOL keep) {
    static const WCHAR text[] = L"its comment";
    if (keep) {
        memcpy(first.sessions, sessions, sizeof sessions);
        memcpy(first.files, files, sizeof files);
        memcpy(first.shares, shares, sizeof shares);
        return;
    }
    memcpy(sessions, first.sessions, sizeof sessions);
    memcpy(files, first.files, sizeof files);
    memcpy(shares, first.shares, sizeof shares);
    share_count = 4;
    memcpy(comment, text, sizeof text);
    max_users = 16777216;
    announce = 240;
    anndelta = 3000;
    disc = 15;
    hidden = TRUE;
}

/* --- counting */

struct counters {
    DWORD calls, allocated, freed, live, faults;
};
static struct counters counted;
static char log_text[1 << 16];
static size_t log_size;
static DWORD page;
static CRITICAL_SECTION lock;

struct rule {
    char function[32]; /* "*" for all */
    DWORD level, skip, status;
    BOOL by_level, with_buffer, once, spent;
};
static struct rule rules[32];
static DWORD rule_count;

static void note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(log_text + log_size, sizeof log_text - log_size, format, arguments);
    va_end(arguments);
    if (written > 0 && log_size + written + 2 < sizeof log_text) {
        log_size += written;
        log_text[log_size++] = '\n';
        log_text[log_size] = 0;
    }
}

static void fault(const char *what, const char *where) {
    counted.faults++;
    note("fault: %s %s", where, what);
}

/* --- memory */

struct block {
    void *start, *pages;
    SIZE_T pages_size;
    BOOL freed;
};
static struct block blocks[4096];
static DWORD block_count;

/* `size` bytes that begin at a multiple of 8 and end, up to 7 bytes, at a page that may not be touched. */
static void *allocate(SIZE_T size) {
    if (block_count == COUNT(blocks))
        return NULL;
    SIZE_T rounded = (size + 7) & ~(SIZE_T)7, room = (rounded + 4095) & ~(SIZE_T)4095;
    struct block *block = &blocks[block_count];
    DWORD old;
    if (!room)
        room = 4096;
    block->pages = VirtualAlloc(NULL, room + 4096, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    if (!block->pages || !VirtualProtect((char *)block->pages + room, 4096, PAGE_NOACCESS, &old))
        return NULL;
    block->pages_size = room;
    block->start = (char *)block->pages + room - rounded;
    block->freed = FALSE;
    memset(block->start, 0xDD, rounded);
    block_count++;
    counted.allocated++;
    counted.live++;
    return block->start;
}

EXPORT NET_API_STATUS WINAPI NetApiBufferFree(LPVOID address) {
    NET_API_STATUS status = ERROR_INVALID_PARAMETER;
    EnterCriticalSection(&lock);
    if (!address) {
        status = NERR_Success; /* as free(NULL) */
    } else {
        struct block *found = NULL;
        for (DWORD at = 0; at < block_count; at++)
            if (blocks[at].start == address)
                found = &blocks[at];
        if (!found) {
            fault("was never given", "NetApiBufferFree");
        } else if (found->freed) {
            fault("freed twice", "NetApiBufferFree");
        } else {
            DWORD old;
            VirtualProtect(found->pages, found->pages_size, PAGE_NOACCESS, &old);
            found->freed = TRUE;
            counted.freed++;
            counted.live--;
            status = NERR_Success;
        }
    }
    LeaveCriticalSection(&lock);
    return status;
}

EXPORT NET_API_STATUS WINAPI NetApiBufferAllocate(DWORD size, LPVOID *address) {
    EnterCriticalSection(&lock);
    *address = allocate(size);
    LeaveCriticalSection(&lock);
    return *address ? NERR_Success : ERROR_NOT_ENOUGH_MEMORY;
}

/* --- an answer: an array of structures, and what they point to behind it */

struct answer {
    char *data; /* where the next string goes; NULL while they are only measured */
    SIZE_T size;
};

static void *put(struct answer *answer, const void *bytes, SIZE_T size) {
    answer->size += size;
    if (!bytes || !answer->data)
        return NULL;
    void *there = answer->data;
    memcpy(there, bytes, size);
    answer->data += size;
    return there;
}

static LPWSTR put_text(struct answer *answer, LPCWSTR text) {
    return text ? put(answer, text, 2 * (wcslen(text) + 1)) : NULL;
}

/* Writes an item as the structure of a level, and gives that structure's size; 0 for a level that there is not. */
typedef SIZE_T (*filler)(DWORD level, void *out, const void *item, struct answer *answer);

union any {
    char room[sizeof(SERVER_INFO_503) + 64];
    LONGLONG aligned;
};

static NET_API_STATUS give(const char *name, DWORD level, filler fill, const void **items, DWORD count, LPBYTE *out) {
    union any scratch;
    struct answer answer = {NULL, 0};
    SIZE_T size = fill(level, &scratch, items[0], &answer);
    if (!size)
        return ERROR_INVALID_LEVEL;
    answer.size = 0;
    for (DWORD at = 0; at < count; at++)
        fill(level, &scratch, items[at], &answer);
    SIZE_T texts = (answer.size + 7) & ~(SIZE_T)7;
    char *start = allocate(size * count + texts);
    if (!start)
        return ERROR_NOT_ENOUGH_MEMORY;
    /* The last string ends where the block does. */
    answer.data = start + ((size * count + texts + 7) & ~(SIZE_T)7) - answer.size;
    for (DWORD at = 0; at < count; at++)
        fill(level, start + size * at, items[at], &answer);
    *out = (LPBYTE)start;
    return NERR_Success;
}

static NET_API_STATUS list(const char *name, DWORD level, filler fill, const void **items, DWORD count, LPBYTE *out,
                           DWORD longest, LPDWORD read, LPDWORD total, void *resume, BOOL wide) {
    ULONGLONG high = wide ? 0x7000000000000000ull : 0x70000000ull;
    ULONGLONG left = !resume ? 0 : wide ? *(ULONGLONG *)resume : *(DWORD *)resume;
    DWORD begin = left & 0xFFFF, end;
    union any scratch;
    struct answer unused = {NULL, 0};
    SIZE_T size = fill(level, &scratch, NULL, &unused);
    if (!size)
        return ERROR_INVALID_LEVEL;
    if (left != (begin ? begin + high : 0) || begin > count) {
        fault("got another resume handle than it left", name);
        return ERROR_INVALID_PARAMETER;
    }
    end = count;
    if (page && end - begin > page)
        end = begin + page;
    if (longest != MAX_PREFERRED_LENGTH && end - begin > 1 && (end - begin) * size > longest)
        end = begin + (longest / size ? longest / size : 1);
    *read = end - begin;
    *total = count - begin;
    if (end > begin) {
        NET_API_STATUS status = give(name, level, fill, items + begin, end - begin, out);
        if (status)
            return status;
    } else {
        *out = allocate(0); /* nothing, in a block: to be freed like any other */
    }
    left = end < count ? end + high : 0x7777; /* Windows leaves something behind on success */
    if (resume && wide)
        *(ULONGLONG *)resume = left;
    else if (resume)
        *(DWORD *)resume = (DWORD)left;
    return end < count ? ERROR_MORE_DATA : NERR_Success;
}

/* --- failing */

/* Begins a call: the lock is held until `leave`. */
static void enter(const char *name, LPCWSTR server, const char *format, ...) {
    char rest[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(rest, sizeof rest, format, arguments);
    va_end(arguments);
    EnterCriticalSection(&lock);
    counted.calls++;
    note("%s %s", name, rest);
    if (server && *server)
        fault("was given a server's name", name);
}

static NET_API_STATUS leave(NET_API_STATUS status) {
    LeaveCriticalSection(&lock);
    return status;
}

/* Whether this call is to fail; `with_buffer` is TRUE once its buffer is set. */
static BOOL fails(const char *name, DWORD level, BOOL with_buffer, NET_API_STATUS *status) {
    for (DWORD at = 0; at < rule_count; at++) {
        struct rule *rule = &rules[at];
        if (strcmp(rule->function, name) && strcmp(rule->function, "*"))
            continue;
        if (rule->spent || rule->with_buffer != with_buffer || (rule->by_level && rule->level != level))
            continue;
        if (rule->skip) {
            rule->skip--;
            continue;
        }
        rule->spent = rule->once;
        *status = rule->status;
        note("%s fails with %lu", name, rule->status);
        return TRUE;
    }
    return FALSE;
}

static void add_rule(const char *function, struct rule rule) {
    if (rule_count < COUNT(rules)) {
        strncpy(rule.function, function, sizeof rule.function - 1);
        rules[rule_count++] = rule;
    }
}

/* --- for the tests */

EXPORT void WINAPI FakeCounters(struct counters *out) { *out = counted; }
EXPORT const char *WINAPI FakeLog(void) { return log_text; }
EXPORT void WINAPI FakePage(DWORD entries) { page = entries; }
EXPORT void WINAPI FakeFail(const char *function, DWORD n, DWORD status, BOOL with_buffer) {
    struct rule rule = {.skip = n ? n - 1 : 0, .once = n > 0, .status = status, .with_buffer = with_buffer};
    add_rule(function, rule);
}
EXPORT void WINAPI FakeRefuse(const char *function, DWORD level, DWORD status) {
    struct rule rule = {.by_level = TRUE, .level = level, .status = status};
    add_rule(function, rule);
}
/* Everything as it was at first. All blocks are given back. */
EXPORT void WINAPI FakeReset(void) {
    EnterCriticalSection(&lock);
    for (DWORD at = 0; at < block_count; at++)
        VirtualFree(blocks[at].pages, 0, MEM_RELEASE);
    block_count = rule_count = page = 0;
    log_size = 0;
    log_text[0] = 0;
    memset(&counted, 0, sizeof counted);
    restore(FALSE);
    LeaveCriticalSection(&lock);
}

static void read_environment(void) {
    char text[512], function[32], *word;
    DWORD n, status, value, size = GetEnvironmentVariableA("FAKE_NETAPI", text, sizeof text);
    if (!size || size >= sizeof text)
        return;
    for (word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        if (sscanf(word, "page=%lu", &value) == 1)
            page = value;
        else if (sscanf(word, "refuse=%31[^:]:%lu:%lu", function, &value, &status) == 3)
            FakeRefuse(function, value, status);
        else if (sscanf(word, "fail=%31[^:]:%lu:%lu:%lu", function, &n, &status, &value) == 4)
            FakeFail(function, n, status, value != 0);
    }
}

static void write_report(void) {
    char path[MAX_PATH], text[256];
    DWORD written, size = GetEnvironmentVariableA("FAKE_NETAPI_REPORT", path, sizeof path);
    if (!size || size >= sizeof path)
        return;
    HANDLE file = CreateFileA(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return;
    int length = snprintf(text, sizeof text, "calls %lu\nallocated %lu\nfreed %lu\nlive %lu\nfaults %lu\n", counted.calls,
                          counted.allocated, counted.freed, counted.live, counted.faults);
    WriteFile(file, text, length, &written, NULL);
    WriteFile(file, log_text, (DWORD)log_size, &written, NULL);
    CloseHandle(file);
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved) {
    if (reason == DLL_PROCESS_ATTACH) {
        InitializeCriticalSection(&lock);
        restore(TRUE);
        read_environment();
    } else if (reason == DLL_PROCESS_DETACH) {
        write_report();
    }
    return TRUE;
}

/* --- sessions */

static SIZE_T fill_session(DWORD level, void *out, const void *item, struct answer *answer) {
    static const struct session none;
    const struct session *session = item ? item : &none;
    switch (level) {
    case 0: {
        SESSION_INFO_0 *info = out;
        info->sesi0_cname = put_text(answer, session->client);
        return sizeof *info;
    }
    case 1: {
        SESSION_INFO_1 *info = out;
        info->sesi1_cname = put_text(answer, session->client);
        info->sesi1_username = put_text(answer, session->user);
        info->sesi1_num_opens = session->opens;
        info->sesi1_time = session->active;
        info->sesi1_idle_time = session->idle;
        info->sesi1_user_flags = session->flags;
        return sizeof *info;
    }
    case 2: {
        SESSION_INFO_2 *info = out;
        fill_session(1, out, item, answer);
        info->sesi2_cltype_name = put_text(answer, session->type);
        return sizeof *info;
    }
    case 10: {
        SESSION_INFO_10 *info = out;
        info->sesi10_cname = put_text(answer, session->client);
        info->sesi10_username = put_text(answer, session->user);
        info->sesi10_time = session->active;
        info->sesi10_idle_time = session->idle;
        return sizeof *info;
    }
    case 502: {
        SESSION_INFO_502 *info = out;
        fill_session(2, out, item, answer);
        info->sesi502_transport = put_text(answer, session->transport);
        return sizeof *info;
    }
    }
    return 0;
}

/* NULL and "" are any. */
static BOOL matches(LPCWSTR wanted, LPCWSTR name) {
    return !wanted || !*wanted || (name && !_wcsicmp(wanted, name));
}

EXPORT NET_API_STATUS WINAPI NetSessionEnum(LMSTR server, LMSTR client, LMSTR user, DWORD level, LPBYTE *out, DWORD longest,
                                            LPDWORD read, LPDWORD total, LPDWORD resume) {
    const void *found[COUNT(sessions)];
    NET_API_STATUS status;
    DWORD count = 0;
    enter("NetSessionEnum", server, "%ls %ls %lu", client ? client : L"-", user ? user : L"-", level);
    if (fails("NetSessionEnum", level, FALSE, &status))
        return leave(status);
    if (client && *client && wcsncmp(client, L"\\\\", 2))
        return leave(NERR_InvalidComputer);
    for (DWORD at = 0; at < COUNT(sessions); at++)
        if (!sessions[at].gone && matches(client, sessions[at].client) && matches(user, sessions[at].user))
            found[count++] = &sessions[at];
    if (!count && client && *client)
        return leave(NERR_ClientNameNotFound);
    if (!count && user && *user)
        return leave(NERR_UserNotFound);
    status = list("NetSessionEnum", level, fill_session, found, count, out, longest, read, total, resume, FALSE);
    fails("NetSessionEnum", level, TRUE, &status);
    return leave(status);
}

EXPORT NET_API_STATUS WINAPI NetSessionGetInfo(LMSTR server, LMSTR client, LMSTR user, DWORD level, LPBYTE *out) {
    NET_API_STATUS status = NERR_ClientNameNotFound;
    enter("NetSessionGetInfo", server, "%ls %ls %lu", client ? client : L"-", user ? user : L"-", level);
    if (fails("NetSessionGetInfo", level, FALSE, &status))
        return leave(status);
    for (DWORD at = 0; at < COUNT(sessions) && status == NERR_ClientNameNotFound; at++) {
        const void *item = &sessions[at];
        if (!sessions[at].gone && matches(client, sessions[at].client) && matches(user, sessions[at].user))
            status = give("NetSessionGetInfo", level, fill_session, &item, 1, out);
    }
    fails("NetSessionGetInfo", level, TRUE, &status);
    return leave(status);
}

EXPORT NET_API_STATUS WINAPI NetSessionDel(LMSTR server, LMSTR client, LMSTR user) {
    NET_API_STATUS status = NERR_ClientNameNotFound;
    enter("NetSessionDel", server, "%ls %ls", client ? client : L"-", user ? user : L"-");
    if (fails("NetSessionDel", 0, FALSE, &status))
        return leave(status);
    if ((!client || !*client) && (!user || !*user)) {
        fault("was asked to end everybody", "NetSessionDel");
        return leave(ERROR_INVALID_PARAMETER);
    }
    for (DWORD at = 0; at < COUNT(sessions); at++)
        if (!sessions[at].gone && matches(client, sessions[at].client) && matches(user, sessions[at].user)) {
            sessions[at].gone = TRUE;
            status = NERR_Success;
        }
    return leave(status);
}

/* --- files */

static SIZE_T fill_file(DWORD level, void *out, const void *item, struct answer *answer) {
    static const struct file none;
    const struct file *file = item ? item : &none;
    if (level == 2) {
        FILE_INFO_2 *info = out;
        info->fi2_id = file->id;
        return sizeof *info;
    }
    if (level == 3) {
        FILE_INFO_3 *info = out;
        info->fi3_id = file->id;
        info->fi3_permissions = file->permissions;
        info->fi3_num_locks = file->locks;
        info->fi3_pathname = put_text(answer, file->path);
        info->fi3_username = put_text(answer, file->user);
        return sizeof *info;
    }
    return 0;
}

EXPORT NET_API_STATUS WINAPI NetFileEnum(LMSTR server, LMSTR base, LMSTR user, DWORD level, LPBYTE *out, DWORD longest,
                                         LPDWORD read, LPDWORD total, PDWORD_PTR resume) {
    const void *found[COUNT(files)];
    NET_API_STATUS status;
    DWORD count = 0;
    enter("NetFileEnum", server, "%ls %ls %lu", base ? base : L"-", user ? user : L"-", level);
    if (fails("NetFileEnum", level, FALSE, &status))
        return leave(status);
    for (DWORD at = 0; at < COUNT(files); at++)
        if (!files[at].gone && matches(user, files[at].user) &&
            (!base || !_wcsnicmp(base, files[at].path, wcslen(base))))
            found[count++] = &files[at];
    status = list("NetFileEnum", level, fill_file, found, count, out, longest, read, total, resume, TRUE);
    fails("NetFileEnum", level, TRUE, &status);
    return leave(status);
}

EXPORT NET_API_STATUS WINAPI NetFileGetInfo(LMSTR server, DWORD id, DWORD level, LPBYTE *out) {
    NET_API_STATUS status = NERR_FileIdNotFound;
    enter("NetFileGetInfo", server, "%lu %lu", id, level);
    if (fails("NetFileGetInfo", level, FALSE, &status))
        return leave(status);
    for (DWORD at = 0; at < COUNT(files); at++) {
        const void *item = &files[at];
        if (!files[at].gone && files[at].id == id)
            status = give("NetFileGetInfo", level, fill_file, &item, 1, out);
    }
    fails("NetFileGetInfo", level, TRUE, &status);
    return leave(status);
}

EXPORT NET_API_STATUS WINAPI NetFileClose(LMSTR server, DWORD id) {
    NET_API_STATUS status = NERR_FileIdNotFound;
    enter("NetFileClose", server, "%lu", id);
    if (fails("NetFileClose", 0, FALSE, &status))
        return leave(status);
    for (DWORD at = 0; at < COUNT(files); at++)
        if (!files[at].gone && files[at].id == id) {
            files[at].gone = TRUE;
            status = NERR_Success;
        }
    return leave(status);
}

/* --- connections */

struct seen_connection {
    const struct connection *connection;
    LPCWSTR net_name;
};

static SIZE_T fill_connection(DWORD level, void *out, const void *item, struct answer *answer) {
    static const struct connection none;
    const struct seen_connection *seen = item;
    const struct connection *connection = seen ? seen->connection : &none;
    if (level == 0) {
        CONNECTION_INFO_0 *info = out;
        info->coni0_id = connection->id;
        return sizeof *info;
    }
    if (level == 1) {
        CONNECTION_INFO_1 *info = out;
        info->coni1_id = connection->id;
        info->coni1_type = connection->type;
        info->coni1_num_opens = connection->opens;
        info->coni1_num_users = connection->users;
        info->coni1_time = connection->time;
        info->coni1_username = put_text(answer, connection->user);
        info->coni1_netname = put_text(answer, seen ? seen->net_name : NULL);
        return sizeof *info;
    }
    return 0;
}

EXPORT NET_API_STATUS WINAPI NetConnectionEnum(LMSTR server, LMSTR qualifier, DWORD level, LPBYTE *out, DWORD longest,
                                               LPDWORD read, LPDWORD total, LPDWORD resume) {
    struct seen_connection seen[COUNT(connections)];
    const void *found[COUNT(connections)];
    NET_API_STATUS status;
    DWORD count = 0;
    enter("NetConnectionEnum", server, "%ls %lu", qualifier ? qualifier : L"-", level);
    if (fails("NetConnectionEnum", level, FALSE, &status))
        return leave(status);
    if (!qualifier || !*qualifier)
        return leave(ERROR_INVALID_PARAMETER);
    BOOL by_client = !wcsncmp(qualifier, L"\\\\", 2);
    for (DWORD at = 0; at < COUNT(connections); at++)
        if (matches(qualifier, by_client ? connections[at].client : connections[at].share)) {
            seen[count].connection = &connections[at];
            /* A client is named as NetConnectionEnum does: without the backslashes. */
            seen[count].net_name = by_client ? connections[at].share : connections[at].client + 2;
            found[count] = &seen[count];
            count++;
        }
    if (!count)
        return leave(by_client ? NERR_ClientNameNotFound : NERR_NetNameNotFound);
    status = list("NetConnectionEnum", level, fill_connection, found, count, out, longest, read, total, resume, FALSE);
    fails("NetConnectionEnum", level, TRUE, &status);
    return leave(status);
}

/* --- shares */

static SIZE_T fill_share(DWORD level, void *out, const void *item, struct answer *answer) {
    static const struct share none;
    const struct share *share = item ? item : &none;
    switch (level) {
    case 0: {
        SHARE_INFO_0 *info = out;
        info->shi0_netname = put_text(answer, share->name);
        return sizeof *info;
    }
    case 1: {
        SHARE_INFO_1 *info = out;
        info->shi1_netname = put_text(answer, share->name);
        info->shi1_type = share->type;
        info->shi1_remark = put_text(answer, share->remark);
        return sizeof *info;
    }
    case 2: {
        SHARE_INFO_2 *info = out;
        fill_share(1, out, item, answer);
        info->shi2_permissions = share->permissions;
        info->shi2_max_uses = share->max_uses;
        info->shi2_current_uses = share->uses;
        info->shi2_path = put_text(answer, share->path);
        info->shi2_passwd = NULL;
        return sizeof *info;
    }
    case 501: {
        SHARE_INFO_501 *info = out;
        fill_share(1, out, item, answer);
        info->shi501_flags = share->flags;
        return sizeof *info;
    }
    case 502: {
        SHARE_INFO_502 *info = out;
        fill_share(2, out, item, answer);
        info->shi502_reserved = 0;
        info->shi502_security_descriptor = share->has_descriptor ? put(answer, descriptor, sizeof descriptor) : NULL;
        return sizeof *info;
    }
    case 1005: {
        SHARE_INFO_1005 *info = out;
        info->shi1005_flags = share->flags;
        return sizeof *info;
    }
    }
    return 0;
}

static struct share *share_named(LPCWSTR name) {
    for (DWORD at = 0; at < share_count; at++)
        if (name && !_wcsicmp(shares[at].name, name))
            return &shares[at];
    return NULL;
}

static NET_API_STATUS list_shares(const char *name, LMSTR server, DWORD level, LPBYTE *out, DWORD longest, LPDWORD read,
                                  LPDWORD total, LPDWORD resume) {
    const void *found[MAX_SHARES];
    NET_API_STATUS status;
    enter(name, server, "%lu", level);
    if (fails(name, level, FALSE, &status))
        return leave(status);
    if (level == 1005)
        return leave(ERROR_INVALID_LEVEL);
    for (DWORD at = 0; at < share_count; at++)
        found[at] = &shares[at];
    status = list(name, level, fill_share, found, share_count, out, longest, read, total, resume, FALSE);
    fails(name, level, TRUE, &status);
    return leave(status);
}

EXPORT NET_API_STATUS WINAPI NetShareEnum(LMSTR server, DWORD level, LPBYTE *out, DWORD longest, LPDWORD read,
                                          LPDWORD total, LPDWORD resume) {
    return list_shares("NetShareEnum", server, level, out, longest, read, total, resume);
}

EXPORT NET_API_STATUS WINAPI NetShareEnumSticky(LMSTR server, DWORD level, LPBYTE *out, DWORD longest, LPDWORD read,
                                                LPDWORD total, LPDWORD resume) {
    return list_shares("NetShareEnumSticky", server, level, out, longest, read, total, resume);
}

EXPORT NET_API_STATUS WINAPI NetShareGetInfo(LMSTR server, LMSTR name, DWORD level, LPBYTE *out) {
    NET_API_STATUS status = NERR_NetNameNotFound;
    enter("NetShareGetInfo", server, "%ls %lu", name ? name : L"-", level);
    if (fails("NetShareGetInfo", level, FALSE, &status))
        return leave(status);
    const void *item = share_named(name);
    if (item)
        status = give("NetShareGetInfo", level, fill_share, &item, 1, out);
    fails("NetShareGetInfo", level, TRUE, &status);
    return leave(status);
}

static NET_API_STATUS bad(LPDWORD wrong, DWORD which) {
    if (wrong)
        *wrong = which;
    return ERROR_INVALID_PARAMETER;
}

static BOOL copy(WCHAR *to, SIZE_T room, LPCWSTR from) {
    if (from && wcslen(from) >= room)
        return FALSE;
    wcscpy(to, from ? from : L"");
    return TRUE;
}

EXPORT NET_API_STATUS WINAPI NetShareAdd(LMSTR server, DWORD level, LPBYTE data, LPDWORD wrong) {
    NET_API_STATUS status;
    enter("NetShareAdd", server, "%lu", level);
    if (fails("NetShareAdd", level, FALSE, &status))
        return leave(status);
    if (level != 2 && level != 502)
        return leave(ERROR_INVALID_LEVEL);
    SHARE_INFO_2 *info = (SHARE_INFO_2 *)data; /* 502 begins the same */
    if (share_named(info->shi2_netname))
        return leave(NERR_DuplicateShare);
    if (share_count == MAX_SHARES)
        return leave(ERROR_NOT_ENOUGH_MEMORY);
    if (!info->shi2_path || !*info->shi2_path)
        return leave(bad(wrong, SHARE_PATH_PARMNUM));
    struct share *share = &shares[share_count];
    memset(share, 0, sizeof *share);
    if (!info->shi2_netname || !*info->shi2_netname || !copy(share->name, COUNT(share->name), info->shi2_netname))
        return leave(bad(wrong, SHARE_NETNAME_PARMNUM));
    if (!copy(share->remark, COUNT(share->remark), info->shi2_remark))
        return leave(bad(wrong, SHARE_REMARK_PARMNUM));
    if (!copy(share->path, COUNT(share->path), info->shi2_path))
        return leave(bad(wrong, SHARE_PATH_PARMNUM));
    share->type = info->shi2_type;
    share->permissions = info->shi2_permissions;
    share->max_uses = info->shi2_max_uses;
    share->has_descriptor = level == 502 && ((SHARE_INFO_502 *)data)->shi502_security_descriptor;
    share_count++;
    note("added %ls: %lu %ls %ls %lu", share->name, share->type, share->remark, share->path, share->max_uses);
    return leave(NERR_Success);
}

EXPORT NET_API_STATUS WINAPI NetShareSetInfo(LMSTR server, LMSTR name, DWORD level, LPBYTE data, LPDWORD wrong) {
    NET_API_STATUS status = NERR_Success;
    enter("NetShareSetInfo", server, "%ls %lu", name ? name : L"-", level);
    if (fails("NetShareSetInfo", level, FALSE, &status))
        return leave(status);
    struct share *share = share_named(name);
    if (!share)
        return leave(NERR_NetNameNotFound);
    switch (level) {
    case 1:
    case 2:
    case 502:
        if (!copy(share->remark, COUNT(share->remark), ((SHARE_INFO_1 *)data)->shi1_remark))
            return leave(bad(wrong, SHARE_REMARK_PARMNUM));
        if (level != 1)
            share->max_uses = ((SHARE_INFO_2 *)data)->shi2_max_uses;
        break;
    case 1004:
        if (!copy(share->remark, COUNT(share->remark), ((SHARE_INFO_1004 *)data)->shi1004_remark))
            return leave(bad(wrong, SHARE_REMARK_PARMNUM));
        break;
    case 1005:
        share->flags = ((SHARE_INFO_1005 *)data)->shi1005_flags;
        break;
    case 1006:
        share->max_uses = ((SHARE_INFO_1006 *)data)->shi1006_max_uses;
        break;
    default:
        status = ERROR_INVALID_LEVEL;
    }
    return leave(status);
}

EXPORT NET_API_STATUS WINAPI NetShareDel(LMSTR server, LMSTR name, DWORD reserved) {
    NET_API_STATUS status;
    enter("NetShareDel", server, "%ls", name ? name : L"-");
    if (fails("NetShareDel", 0, FALSE, &status))
        return leave(status);
    struct share *share = share_named(name);
    if (!share)
        return leave(NERR_NetNameNotFound);
    memmove(share, share + 1, (&shares[share_count] - (share + 1)) * sizeof *share);
    share_count--;
    return leave(NERR_Success);
}

/* --- the service */

static SIZE_T fill_server(DWORD level, void *out, const void *item, struct answer *answer) {
    DWORD *numbers = out;
    switch (level) {
    case 100: {
        SERVER_INFO_100 *info = out;
        info->sv100_platform_id = 500;
        info->sv100_name = put_text(answer, L"PC");
        return sizeof *info;
    }
    case 101: {
        SERVER_INFO_101 *info = out;
        fill_server(100, out, item, answer);
        info->sv101_version_major = 10;
        info->sv101_version_minor = 0;
        info->sv101_type = SV_TYPE_WORKSTATION | SV_TYPE_SERVER | SV_TYPE_NT | SV_TYPE_SERVER_NT;
        info->sv101_comment = put_text(answer, comment);
        return sizeof *info;
    }
    case 102: {
        SERVER_INFO_102 *info = out;
        fill_server(101, out, item, answer);
        info->sv102_users = max_users;
        info->sv102_disc = disc;
        info->sv102_hidden = hidden;
        info->sv102_announce = announce;
        info->sv102_anndelta = anndelta;
        info->sv102_licenses = 0;
        info->sv102_userpath = put_text(answer, L"c:\\");
        return sizeof *info;
    }
    case 502:
        /* Each member another number: which one is where shows. */
        for (DWORD at = 0; at < sizeof(SERVER_INFO_502) / 4; at++)
            numbers[at] = 1000 + at;
        return sizeof(SERVER_INFO_502);
    case 503: {
        SERVER_INFO_503 *info = out;
        memset(info, 0, sizeof *info);
        fill_server(502, out, item, answer);
        info->sv503_domain = put_text(answer, L"EXAMPLE");
        DWORD *first = &info->sv503_maxcopyreadlen, *last = &info->sv503_maxfreeconnections;
        for (DWORD *at = first; at <= last; at++)
            *at = 2000 + (DWORD)(at - first);
        return sizeof *info;
    }
    }
    return 0;
}

EXPORT NET_API_STATUS WINAPI NetServerGetInfo(LMSTR server, DWORD level, LPBYTE *out) {
    const void *item = comment;
    NET_API_STATUS status;
    enter("NetServerGetInfo", server, "%lu", level);
    if (fails("NetServerGetInfo", level, FALSE, &status))
        return leave(status);
    status = give("NetServerGetInfo", level, fill_server, &item, 1, out);
    fails("NetServerGetInfo", level, TRUE, &status);
    return leave(status);
}

EXPORT NET_API_STATUS WINAPI NetServerSetInfo(LMSTR server, DWORD level, LPBYTE data, LPDWORD wrong) {
    NET_API_STATUS status = NERR_Success;
    enter("NetServerSetInfo", server, "%lu", level);
    if (fails("NetServerSetInfo", level, FALSE, &status))
        return leave(status);
    SERVER_INFO_102 *all = (SERVER_INFO_102 *)data;
    switch (level) {
    case 101:
    case 102:
        if (!copy(comment, COUNT(comment), all->sv102_comment))
            return leave(bad(wrong, SV_COMMENT_PARMNUM));
        if (level == 102) {
            max_users = all->sv102_users;
            disc = all->sv102_disc;
            hidden = all->sv102_hidden;
            announce = all->sv102_announce;
            anndelta = all->sv102_anndelta;
        }
        break;
    case 1005:
        if (!copy(comment, COUNT(comment), ((SERVER_INFO_1005 *)data)->sv1005_comment))
            return leave(bad(wrong, SV_COMMENT_PARMNUM));
        break;
    case 1010:
        disc = ((SERVER_INFO_1010 *)data)->sv1010_disc;
        break;
    case 1016:
        hidden = ((SERVER_INFO_1016 *)data)->sv1016_hidden;
        break;
    case 1017:
        announce = ((SERVER_INFO_1017 *)data)->sv1017_announce;
        break;
    case 1018:
        anndelta = ((SERVER_INFO_1018 *)data)->sv1018_anndelta;
        break;
    case 1107:
        max_users = ((SERVER_INFO_1107 *)data)->sv1107_users;
        break;
    default:
        status = ERROR_INVALID_LEVEL;
    }
    return leave(status);
}

static SIZE_T fill_transport(DWORD level, void *out, const void *item, struct answer *answer) {
    static const struct transport none;
    const struct transport *transport = item ? item : &none;
    if (level > 1)
        return 0;
    SERVER_TRANSPORT_INFO_0 *info = out;
    info->svti0_numberofvcs = transport->count;
    info->svti0_transportname = put_text(answer, transport->name);
    info->svti0_transportaddress = transport->address ? put(answer, transport->address, 16) : NULL;
    info->svti0_transportaddresslength = transport->address ? 16 : 0;
    info->svti0_networkaddress = put_text(answer, transport->network);
    if (!level)
        return sizeof *info;
    ((SERVER_TRANSPORT_INFO_1 *)out)->svti1_domain = put_text(answer, L"EXAMPLE");
    return sizeof(SERVER_TRANSPORT_INFO_1);
}

EXPORT NET_API_STATUS WINAPI NetServerTransportEnum(LMSTR server, DWORD level, LPBYTE *out, DWORD longest, LPDWORD read,
                                                    LPDWORD total, LPDWORD resume) {
    const void *found[COUNT(transports)];
    NET_API_STATUS status;
    enter("NetServerTransportEnum", server, "%lu", level);
    if (fails("NetServerTransportEnum", level, FALSE, &status))
        return leave(status);
    for (DWORD at = 0; at < COUNT(transports); at++)
        found[at] = &transports[at];
    status = list("NetServerTransportEnum", level, fill_transport, found, COUNT(transports), out, longest, read, total,
                  resume, FALSE);
    fails("NetServerTransportEnum", level, TRUE, &status);
    return leave(status);
}

static SIZE_T fill_statistics(DWORD level, void *out, const void *item, struct answer *answer) {
    DWORD *numbers = out;
    if (level)
        return 0;
    for (DWORD at = 0; at < sizeof(STAT_SERVER_0) / 4; at++)
        numbers[at] = 100 + at;
    return sizeof(STAT_SERVER_0);
}

EXPORT NET_API_STATUS WINAPI NetStatisticsGet(LMSTR server, LMSTR service, DWORD level, DWORD options, LPBYTE *out) {
    const void *item = comment;
    NET_API_STATUS status;
    enter("NetStatisticsGet", server, "%ls %lu %lu", service ? service : L"-", level, options);
    if (fails("NetStatisticsGet", level, FALSE, &status))
        return leave(status);
    if (!service || _wcsicmp(service, L"LanmanServer"))
        return leave(NERR_ServiceNotInstalled);
    if (options)
        return leave(ERROR_INVALID_PARAMETER);
    status = give("NetStatisticsGet", level, fill_statistics, &item, 1, out);
    fails("NetStatisticsGet", level, TRUE, &status);
    return leave(status);
}

static SIZE_T fill_time(DWORD level, void *out, const void *item, struct answer *answer) {
    static const TIME_OF_DAY_INFO now = {1700000000, 1, 2, 3, 4, 5, -60, 310, 9, 10, 2026, 6};
    *(TIME_OF_DAY_INFO *)out = now;
    return sizeof now;
}

EXPORT NET_API_STATUS WINAPI NetRemoteTOD(LPCWSTR server, LPBYTE *out) {
    const void *item = comment;
    NET_API_STATUS status;
    enter("NetRemoteTOD", server, "%s", "");
    if (fails("NetRemoteTOD", 0, FALSE, &status))
        return leave(status);
    status = give("NetRemoteTOD", 0, fill_time, &item, 1, out);
    fails("NetRemoteTOD", 0, TRUE, &status);
    return leave(status);
}
