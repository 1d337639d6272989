mod running;
