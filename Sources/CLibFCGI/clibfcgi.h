// libfcgi's event-driven interface. Not fcgi_stdio.h, which redefines FILE, printf and stdin.
#include <fastcgi.h>
#include <fcgiapp.h>
