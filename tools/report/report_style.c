/* floor 5.7 - report style: the colour and line style of each row. */
#include "report.h"

int report_colour(size_t row) { return row == 0 ? -1 : (int)((row - 1) % 8); }
bool report_dashed(size_t row) { return row > 8; }
