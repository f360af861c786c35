"""Worker processes through the pool: real processes, real handlers of both layouts."""



