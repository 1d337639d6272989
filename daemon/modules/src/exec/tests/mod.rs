mod calling;
mod running;
