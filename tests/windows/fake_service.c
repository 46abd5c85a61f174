/* A service of Windows that does nothing: what stands for the Server service under Wine's service control manager, which
 * is a real one. Its name is its first argument. It takes stop, pause and continue, and goes through the states between;
 * with a second argument it takes no pause.
 *
 *   x86_64-w64-mingw32-gcc -O1 -o fake_service.exe fake_service.c -ladvapi32
 */
#include <windows.h>
#include <stdlib.h>
#include <wchar.h>

static SERVICE_STATUS_HANDLE handle;
static SERVICE_STATUS status = {SERVICE_WIN32_OWN_PROCESS, SERVICE_START_PENDING, 0, 0, 0, 0, 100};
static HANDLE stopped;
static WCHAR name[64];
static BOOL pauses = TRUE;

static void now(DWORD state) {
    status.dwCurrentState = state;
    status.dwControlsAccepted =
        state == SERVICE_RUNNING || state == SERVICE_PAUSED ? SERVICE_ACCEPT_STOP | (pauses ? SERVICE_ACCEPT_PAUSE_CONTINUE : 0) : 0;
    SetServiceStatus(handle, &status);
}

static DWORD WINAPI control(DWORD order, DWORD kind, LPVOID data, LPVOID context) {
    switch (order) {
    case SERVICE_CONTROL_STOP:
        now(SERVICE_STOP_PENDING);
        SetEvent(stopped);
        return NO_ERROR;
    case SERVICE_CONTROL_PAUSE:
        now(SERVICE_PAUSE_PENDING);
        now(SERVICE_PAUSED);
        return NO_ERROR;
    case SERVICE_CONTROL_CONTINUE:
        now(SERVICE_CONTINUE_PENDING);
        now(SERVICE_RUNNING);
        return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE:
        return NO_ERROR;
    }
    return ERROR_CALL_NOT_IMPLEMENTED;
}

static void WINAPI run(DWORD count, LPWSTR *words) {
    handle = RegisterServiceCtrlHandlerExW(name, control, NULL);
    stopped = CreateEventW(NULL, TRUE, FALSE, NULL);
    now(SERVICE_START_PENDING);
    now(SERVICE_RUNNING);
    WaitForSingleObject(stopped, INFINITE);
    now(SERVICE_STOPPED);
}

int main(int count, char **words) {
    SERVICE_TABLE_ENTRYW table[] = {{name, run}, {NULL, NULL}};
    mbstowcs(name, count > 1 ? words[1] : "LanmanServer", 63);
    pauses = count < 3;
    return !StartServiceCtrlDispatcherW(table);
}
